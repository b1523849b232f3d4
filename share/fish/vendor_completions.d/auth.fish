# Completion of auth for fish; made by scripts/generate from the commands themselves.

# Prints the command on the line so far and how many arguments it has; `program` and the words from
# there on, where they are those of the program that `auth exec` runs.
function __auth_command
    set -l plain
    set -l ended no
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if test $ended = no; and string match -qr -- '^-.' $words[1]
            switch $words[1]
                case --
                    set ended yes
                case --at --color --format --host --index --keyring-provider --lifetime --passphrase-file --password --project --protocol --service --since --token --ttl --uid --username -t -u
                    set -e words[1]
            end
        else if test "$plain[1]" = exec
            printf '%s\n' program $words
            return
        else
            set -a plain $words[1]
        end
        set -e words[1]
    end
    if contains -- "$plain[1]" passphrase agent; and set -q plain[2]
        set plain "$plain[1] $plain[2]" $plain[3..-1]
    end
    printf '%s\n' "$plain[1]" (count $plain[2..-1])
end

# Tells whether this is the command, and with a second word whether it has no argument yet.
function __auth_is
    set -l found (__auth_command)
    test "$found[1]" = "$argv[1]"; and test -z "$argv[2]" -o "$found[2]" = 0
end

function __auth_program
    set -l found (__auth_command)
    __fish_complete_subcommand --commandline $found[2..-1] (commandline -ct)
end

complete -c auth -f
complete -c auth -n '__auth_is ""' -a login -d 'store a credential for an index'
complete -c auth -n '__auth_is ""' -a logout -d 'remove a stored credential'
complete -c auth -n '__auth_is ""' -a token -d 'print a stored secret'
complete -c auth -n '__auth_is ""' -a exec -d 'run a command with the credentials in its environment'
complete -c auth -n '__auth_is ""' -a share -d 'hand one credential out to a container, a job or another host'
complete -c auth -n '__auth_is ""' -a list -d 'show what is stored, without secrets'
complete -c auth -n '__auth_is ""' -a import -d 'take over what other tools keep'
complete -c auth -n '__auth_is ""' -a export -d 'write all of it into an encrypted file'
complete -c auth -n '__auth_is ""' -a dir -d 'print the directory that the vaults lie in'
complete -c auth -n '__auth_is ""' -a status -d 'show the agent, the vaults and what protects them'
complete -c auth -n '__auth_is ""' -a lock -d 'forget every key and secret until `auth unlock`'
complete -c auth -n '__auth_is ""' -a unlock -d 'open the vaults'
complete -c auth -n '__auth_is ""' -a passphrase -d 'set | remove'
complete -c auth -n '__auth_is ""' -a restore -d 'bring back an exported file, or a damaged vault\'s generation before'
complete -c auth -n '__auth_is ""' -a log -d 'show who asked for what, and whether that record is whole'
complete -c auth -n '__auth_is ""' -a agent -d 'start | stop | restart | status | run | install | uninstall'
complete -c auth -n '__auth_is ""' -a helper -d 'answer a tool that speaks a credential helper protocol'
complete -c auth -n '__auth_is ""' -a setup -d 'have the tools that are there find tokenward, or undo that'
complete -c auth -n '__auth_is ""' -a trust -d 'obey the settings of a project\'s directory'
complete -c auth -n '__auth_is ""' -a doctor -d 'try every protection on this machine, and say what mends what is off'
complete -c auth -n '__auth_is "passphrase"' -a set -d 'protect the vault without a keyring by a new passphrase'
complete -c auth -n '__auth_is "passphrase"' -a remove -d 'put a key file in the passphrase\'s place'
complete -c auth -n '__auth_is "agent"' -a start -d 'start the agent, if it is not running'
complete -c auth -n '__auth_is "agent"' -a stop -d 'stop it; what is stored stays stored'
complete -c auth -n '__auth_is "agent"' -a restart -d 'stop it and start it again'
complete -c auth -n '__auth_is "agent"' -a status -d 'tell whether it runs; never starts it'
complete -c auth -n '__auth_is "agent"' -a run -d 'run it in the foreground'
complete -c auth -n '__auth_is "agent"' -a install -d 'have the system\'s service manager look after the agent'
complete -c auth -n '__auth_is "agent"' -a uninstall -d 'take it back from there; it starts on demand again'
complete -c auth -n 'not __auth_is program' -s q -l quiet -d 'say nothing but errors'
complete -c auth -n 'not __auth_is program' -s v -l verbose -d 'say where things come from'
complete -c auth -n 'not __auth_is program' -l format -x -a 'text json' -d 'how to print (default: text)'
complete -c auth -n 'not __auth_is program' -l color -x -a 'auto always never' -d 'colour of messages (default: auto)'
complete -c auth -n 'not __auth_is program' -l version -d 'print the version'
complete -c auth -n 'not __auth_is program' -s h -l help -d 'print this help'
complete -c auth -n '__auth_is program' -x -a '(__auth_program)'
complete -c auth -n '__auth_is "login"' -s u -l username -x -d 'the user name; asked for if missing'
complete -c auth -n '__auth_is "login"' -l no-username -d 'the user name is empty, as where an index wants a token as password alone'
complete -c auth -n '__auth_is "login"' -s t -l token -x -d 'an API token; - reads a line of stdin'
complete -c auth -n '__auth_is "login"' -l password -x -d 'the password; - reads a line of stdin'
complete -c auth -n '__auth_is "login"' -l no-password -d 'the password is empty, as where an index wants a token as user name alone'
complete -c auth -n '__auth_is "login"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'where to keep it, else by what is there'
complete -c auth -n '__auth_is "login"' -l lifetime -x -d 'forget it after 90m, 8h, 7d ...'
complete -c auth -n '__auth_is "login"' -l adopt -d 'leave it in the keyring that has it, and read it there'
complete -c auth -n '__auth_is "login"' -l sealed -d 'never show it again: only narrower tokens of it are handed out'
complete -c auth -n '__auth_is "login"' -l trusted-publishing -d 'in CI: have pypi or testpypi mint a token, and keep it in memory alone'
complete -c auth -n '__auth_is "login"' -l check -d 'ask the index first, and store nothing it refuses'
complete -c auth -n '__auth_is "login" once' -a 'pypi testpypi'
complete -c auth -n '__auth_is "logout"' -s u -l username -x -d 'whose credential; needed if several are stored for the index'
complete -c auth -n '__auth_is "logout"' -l no-username -d 'the user name is empty, as where an index wants a token as password alone'
complete -c auth -n '__auth_is "logout"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'remove it from that provider\'s vault alone'
complete -c auth -n '__auth_is "logout"' -l all -d 'every account of SERVICE; without SERVICE everything that is stored'
complete -c auth -n '__auth_is "logout"' -l revoke -d 'first revoke it at the index, for every copy of it, where its API can do that'
complete -c auth -n '__auth_is "logout"' -l forget -d 'with --revoke: remove also what was not revoked'
complete -c auth -n '__auth_is "logout"' -l purge -d 'delete an adopted one from its keyring as well'
complete -c auth -n '__auth_is "logout" once' -a 'pypi testpypi'
complete -c auth -n '__auth_is "token"' -s u -l username -x -d 'whose secret; needed if several are stored for the index'
complete -c auth -n '__auth_is "token"' -l no-username -d 'the user name is empty, as where an index wants a token as password alone'
complete -c auth -n '__auth_is "token"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'look in that provider\'s vault alone'
complete -c auth -n '__auth_is "token"' -l project -x -d 'a token for this project alone; may be repeated'
complete -c auth -n '__auth_is "token"' -l ttl -x -d 'a token that ends after 15m, 1h ...'
complete -c auth -n '__auth_is "token"' -l describe -d 'say what it is good for, and print no secret'
complete -c auth -n '__auth_is "token"' -l check -d 'ask the index whether it takes it, and print that instead of the secret'
complete -c auth -n '__auth_is "token" once' -a 'pypi testpypi'
complete -c auth -n '__auth_is "exec"' -l index -x -a 'pypi testpypi' -d 'an index that it may use (default: pypi); may be repeated, the first one first'
complete -c auth -n '__auth_is "exec"' -l project -x -d 'a token for this project alone; may be repeated'
complete -c auth -n '__auth_is "exec"' -l ttl -x -d 'a token that ends after 15m, 1h ...'
complete -c auth -n '__auth_is "exec" once' -a '(__fish_complete_command)'
complete -c auth -n '__auth_is "share"' -l service -x -a 'pypi testpypi' -d 'whose credential is handed out; one has to be named, and no more'
complete -c auth -n '__auth_is "share"' -s u -l username -x -d 'whose, where there are several accounts'
complete -c auth -n '__auth_is "share"' -l no-username -d 'the user name is empty, as where an index wants a token as password alone'
complete -c auth -n '__auth_is "share"' -l project -x -d 'tokens for this project alone; may be repeated'
complete -c auth -n '__auth_is "share"' -l ttl -x -d 'end after 15m, 8h ... (default: never)'
complete -c auth -n '__auth_is "share"' -l at -r -F -d 'where the socket is to be'
complete -c auth -n '__auth_is "share"' -l uid -x -d 'let this user in too, beside you and root; may be repeated'
complete -c auth -n '__auth_is "share"' -l whole -d 'hand out what is stored, as it is, and no narrower one'
complete -c auth -n '__auth_is "share"' -l stop -d 'end it: the one `--at` PATH, or all'
complete -c auth -n '__auth_is "import"' -l dry-run -d 'show what would be done, and do none of it'
complete -c auth -n '__auth_is "import"' -l remove -d 'take each secret out of its source once it is stored and read back'
complete -c auth -n '__auth_is "import"' -l replace -d 'also where another secret is stored already'
complete -c auth -n '__auth_is "import"' -l host -x -d 'take this host of a netrc for that of an index; may be given several times'
complete -c auth -n '__auth_is "import"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'where to keep them, else by what is there'
complete -c auth -n '__auth_is "import"' -a 'pypirc uv netrc poetry pip keyring'
complete -c auth -n '__auth_is "export"' -l passphrase-file -r -F -d 'the export\'s passphrase is in this private file; else it is asked for'
complete -c auth -n '__auth_is "export"' -l yes -d 'write over an older export; never ask'
complete -c auth -n '__auth_is "export" once' -F
complete -c auth -n '__auth_is "unlock"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'open that provider\'s vault alone'
complete -c auth -n '__auth_is "passphrase set"' -l keep-slots -d 'let it open as before, too (a key file ...)'
complete -c auth -n '__auth_is "restore"' -l replace -d 'also where another secret is stored already'
complete -c auth -n '__auth_is "restore"' -l passphrase-file -r -F -d 'the export\'s passphrase is in this private file; else it is asked for'
complete -c auth -n '__auth_is "restore"' -l previous -d 'the generation before, which lies beside the vault'
complete -c auth -n '__auth_is "restore"' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'that provider\'s vault; for FILE where to keep what comes back'
complete -c auth -n '__auth_is "restore"' -l yes -d 'go back even where the vault can be read; never ask'
complete -c auth -n '__auth_is "restore" once' -F
complete -c auth -n '__auth_is "log"' -l since -x -d 'from then on: 8h and 7d ago, or 2026-01-31, or 2026-01-31T12:00'
complete -c auth -n '__auth_is "log"' -l service -x -a 'pypi testpypi' -d 'what is about this service alone'
complete -c auth -n '__auth_is "log"' -l follow -d 'go on with what comes, until Ctrl-C'
complete -c auth -n '__auth_is "log"' -l verify -d 'have the agent look whether a line or a file was changed or taken away'
complete -c auth -n '__auth_is "helper"' -l protocol -x -a 'bazel' -d 'what the tool speaks'
complete -c auth -n '__auth_is "helper" once' -a 'get'
complete -c auth -n '__auth_is "setup"' -l undo -d 'take out what was put in, and restore every byte'
complete -c auth -n '__auth_is "setup"' -l yes -d 'answer every question with yes; never ask'
complete -c auth -n '__auth_is "setup"' -a 'keyring uv pip build twine poetry pdm devpi hatch flit'
complete -c auth -n '__auth_is "trust" once' -a '(__fish_complete_directories)'
