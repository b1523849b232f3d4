# Completion of auth for fish; made by scripts/generate from the commands themselves.

# Prints the command on the line so far, and of what follows it each flag, and `argument` for all
# else; or `program` and the words from there on that are those of the program `auth exec` runs.
function __auth_line
    set -l plain
    set -l flags
    set -l ended no
    set -l words (commandline -opc)
    set -e words[1]
    while set -q words[1]
        if test $ended = no; and string match -qr -- '^-.' $words[1]
            switch $words[1]
                case --
                    set ended yes
                case --as --at --color --for --format --from --host --index --keyring-provider --lifetime --pass-env --passphrase-file --password --project --protocol --service --since --token --ttl --tunnel --uid --username -t -u
                    set -q words[2]; or break # its value is what is typed
                    set -a flags $words[1]
                    set -e words[1]
                case '*'
                    set -a flags (string replace -r -- '=.*' '' $words[1])
            end
        else if test "$plain[1]" = exec
            printf '%s\n' program $words
            return
        else if contains -- "$plain" passphrase agent help
            set plain "$plain $words[1]"
        else if set -q plain[1]
            set -a flags argument
        else
            set plain $words[1]
        end
        set -e words[1]
    end
    printf '%s\n' "$plain" $flags
end

# Tells whether this is the command.
function __auth_is
    set -l found (__auth_line)
    test "$found[1]" = "$argv[1]"
end

# Tells whether the line has none of these: commands, flags, `argument`, `program`.
function __auth_lacks
    set -l found (__auth_line)
    for word in $argv
        contains -- $word $found; and return 1
    end
    return 0
end

function __auth_program
    set -l found (__auth_line)
    __fish_complete_subcommand --commandline $found[2..-1] (commandline -ct)
end

complete -c auth -f
complete -c auth -n '__auth_is program' -x -a '(__auth_program)'
complete -c auth -n '__auth_is ""' -a login -d 'log in to an index'
complete -c auth -n '__auth_is ""' -a logout -d 'forget a credential; --revoke also ends it at the index'
complete -c auth -n '__auth_is ""' -a refresh -d 'run the command that makes a credential, with your terminal'
complete -c auth -n '__auth_is ""' -a list -d 'show what is stored, without secrets'
complete -c auth -n '__auth_is ""' -a import -d 'take over what .pypirc, uv, netrc, poetry and pip hold'
complete -c auth -n '__auth_is ""' -a exec -d 'run a command that uses the credentials'
complete -c auth -n '__auth_is ""' -a token -d 'print a token, or a short-lived one for one project'
complete -c auth -n '__auth_is ""' -a share -d 'give a container, a job or another host one credential'
complete -c auth -n '__auth_is ""' -a helper -d 'answer a tool that speaks a credential helper protocol'
complete -c auth -n '__auth_is ""' -a lock -d 'close the vaults, and forget every key and secret'
complete -c auth -n '__auth_is ""' -a unlock -d 'open the vaults'
complete -c auth -n '__auth_is ""' -a passphrase -d 'set | remove'
complete -c auth -n '__auth_is ""' -a log -d 'show who got which credential, and verify that record'
complete -c auth -n '__auth_is ""' -a export -d 'write every credential into an encrypted file'
complete -c auth -n '__auth_is ""' -a restore -d 'read such a file, or repair a damaged vault'
complete -c auth -n '__auth_is ""' -a setup -d 'make the installed tools use tokenward, or undo that'
complete -c auth -n '__auth_is ""' -a completion -d 'print a shell\'s completion of this command'
complete -c auth -n '__auth_is ""' -a uninstall -d 'take back everything that tokenward wrote'
complete -c auth -n '__auth_is ""' -a status -d 'show whether it is unlocked, and what protects it'
complete -c auth -n '__auth_is ""' -a doctor -d 'find problems on this machine, and say what helps'
complete -c auth -n '__auth_is ""' -a dir -d 'print the directory of the vaults'
complete -c auth -n '__auth_is ""' -a trust -d 'obey the settings of a project\'s directory'
complete -c auth -n '__auth_is ""' -a agent -d 'start | stop | restart | status | run | install | uninstall'
complete -c auth -n '__auth_is ""' -a help -d 'show the help of a command'
complete -c auth -n '__auth_is "passphrase"' -a set -d 'protect the file vault by a new passphrase'
complete -c auth -n '__auth_is "passphrase"' -a remove -d 'replace the passphrase by a key file'
complete -c auth -n '__auth_is "agent"' -a start -d 'start the agent, if it is not running'
complete -c auth -n '__auth_is "agent"' -a stop -d 'stop the agent; stored credentials stay'
complete -c auth -n '__auth_is "agent"' -a restart -d 'stop it and start it again'
complete -c auth -n '__auth_is "agent"' -a status -d 'show whether the agent runs; never starts it'
complete -c auth -n '__auth_is "agent"' -a run -d 'run the agent in the foreground'
complete -c auth -n '__auth_is "agent"' -a install -d 'have the system\'s service manager start the agent'
complete -c auth -n '__auth_is "agent"' -a uninstall -d 'undo that; the agent is started on demand again'
complete -c auth -n '__auth_is "help"' -a login -d 'log in to an index'
complete -c auth -n '__auth_is "help"' -a logout -d 'forget a credential; --revoke also ends it at the index'
complete -c auth -n '__auth_is "help"' -a refresh -d 'run the command that makes a credential, with your terminal'
complete -c auth -n '__auth_is "help"' -a list -d 'show what is stored, without secrets'
complete -c auth -n '__auth_is "help"' -a import -d 'take over what .pypirc, uv, netrc, poetry and pip hold'
complete -c auth -n '__auth_is "help"' -a exec -d 'run a command that uses the credentials'
complete -c auth -n '__auth_is "help"' -a token -d 'print a token, or a short-lived one for one project'
complete -c auth -n '__auth_is "help"' -a share -d 'give a container, a job or another host one credential'
complete -c auth -n '__auth_is "help"' -a helper -d 'answer a tool that speaks a credential helper protocol'
complete -c auth -n '__auth_is "help"' -a lock -d 'close the vaults, and forget every key and secret'
complete -c auth -n '__auth_is "help"' -a unlock -d 'open the vaults'
complete -c auth -n '__auth_is "help"' -a passphrase -d 'set | remove'
complete -c auth -n '__auth_is "help"' -a log -d 'show who got which credential, and verify that record'
complete -c auth -n '__auth_is "help"' -a export -d 'write every credential into an encrypted file'
complete -c auth -n '__auth_is "help"' -a restore -d 'read such a file, or repair a damaged vault'
complete -c auth -n '__auth_is "help"' -a setup -d 'make the installed tools use tokenward, or undo that'
complete -c auth -n '__auth_is "help"' -a completion -d 'print a shell\'s completion of this command'
complete -c auth -n '__auth_is "help"' -a uninstall -d 'take back everything that tokenward wrote'
complete -c auth -n '__auth_is "help"' -a status -d 'show whether it is unlocked, and what protects it'
complete -c auth -n '__auth_is "help"' -a doctor -d 'find problems on this machine, and say what helps'
complete -c auth -n '__auth_is "help"' -a dir -d 'print the directory of the vaults'
complete -c auth -n '__auth_is "help"' -a trust -d 'obey the settings of a project\'s directory'
complete -c auth -n '__auth_is "help"' -a agent -d 'start | stop | restart | status | run | install | uninstall'
complete -c auth -n '__auth_lacks program -q --quiet' -s q -l quiet -d 'print only errors'
complete -c auth -n '__auth_lacks program -v --verbose' -s v -l verbose -d 'print where settings and credentials come from'
complete -c auth -n '__auth_lacks program exec helper completion --format' -l format -x -a 'text json' -d 'output format (default: text)'
complete -c auth -n '__auth_lacks program --color' -l color -x -a 'auto always never' -d 'colour of messages (default: auto)'
complete -c auth -n '__auth_lacks program -V --version' -s V -l version -d 'print the version'
complete -c auth -n '__auth_lacks program -h --help' -s h -l help -d 'print this help'
complete -c auth -n '__auth_is "login"; and __auth_lacks -u --username' -s u -l username -x -d 'the user name; asked for if missing'
complete -c auth -n '__auth_is "login"; and __auth_lacks --no-username' -l no-username -d 'the user name is empty, for an index that takes a token as the password'
complete -c auth -n '__auth_is "login"; and __auth_lacks -t --token' -s t -l token -x -d 'an API token; - reads a line of stdin'
complete -c auth -n '__auth_is "login"; and __auth_lacks --password' -l password -x -d 'the password; - reads a line of stdin'
complete -c auth -n '__auth_is "login"; and __auth_lacks --no-password' -l no-password -d 'the password is empty, for an index that takes a token as the user name'
complete -c auth -n '__auth_is "login"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'where to store it (default: the agent chooses)'
complete -c auth -n '__auth_is "login"; and __auth_lacks --lifetime' -l lifetime -x -d 'delete it after 90m, 8h, 7d ...'
complete -c auth -n '__auth_is "login"; and __auth_lacks --adopt' -l adopt -d 'leave it in its keyring or plug-in of keyring, and read it there'
complete -c auth -n '__auth_is "login"; and __auth_lacks --sealed' -l sealed -d 'never show it again: attenuated tokens of it are handed out, or a relay alone uses it'
complete -c auth -n '__auth_is "login"; and __auth_lacks --trusted-publishing' -l trusted-publishing -d 'in CI: have pypi, testpypi or an index with `oidc` mint a token, kept in memory only'
complete -c auth -n '__auth_is "login"; and __auth_lacks --check' -l check -d 'ask the index first; if it refuses, store nothing'
complete -c auth -n '__auth_is "login"; and __auth_lacks --no-check' -l no-check -d 'do not ask the index afterwards, as is done on a terminal'
complete -c auth -n '__auth_is "login"; and __auth_lacks --web' -l web -d 'open the page on which tokens are made in the browser'
complete -c auth -n '__auth_is "login"; and __auth_lacks --command' -l command -d 'store no secret, but the command that makes it: PROGRAM ARG...'
complete -c auth -n '__auth_is "login"; and __auth_lacks --from' -l from -x -a 'gcloud aws az pass: op: bw: vault: bao:' -d 'such a command by name: gcloud, aws, az, pass:PATH ...'
complete -c auth -n '__auth_is "login"; and __auth_lacks --as' -l as -x -a 'auto text json git' -d 'how PROGRAM prints it (default: auto)'
complete -c auth -n '__auth_is "login"' -l pass-env -x -d 'PROGRAM gets it as it is now, sealed in a vault; may be repeated'
complete -c auth -n '__auth_is "login"; and __auth_lacks --attended' -l attended -d 'PROGRAM needs you: only `auth refresh` runs it; with `--adopt`, ask the keyring here first'
complete -c auth -n '__auth_is "login"; and __auth_lacks argument' -a 'pypi testpypi'
complete -c auth -n '__auth_is "logout"; and __auth_lacks -u --username' -s u -l username -x -d 'whose credential; needed if several are stored for the index'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --no-username' -l no-username -d 'the user name is empty, for an index that takes a token as the password'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'remove it only from that provider\'s vault'
complete -c auth -n '__auth_is "logout"' -l project -x -d 'of several tokens, the one for just this project; may be repeated'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --all' -l all -d 'every account of SERVICE; without SERVICE every stored credential'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --revoke' -l revoke -d 'first revoke the token at the index, if its API allows that'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --forget' -l forget -d 'with --revoke: also remove it if it was not revoked'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --purge' -l purge -d 'also delete an adopted credential from its keyring'
complete -c auth -n '__auth_is "logout"; and __auth_lacks --yes' -l yes -d 'with --all: never ask'
complete -c auth -n '__auth_is "logout"; and __auth_lacks argument' -a 'pypi testpypi'
complete -c auth -n '__auth_is "refresh"; and __auth_lacks -u --username' -s u -l username -x -d 'the user name; needed if several are stored'
complete -c auth -n '__auth_is "refresh"; and __auth_lacks --no-username' -l no-username -d 'the user name is empty, for an index that takes a token as the password'
complete -c auth -n '__auth_is "refresh"; and __auth_lacks argument' -a 'pypi testpypi'
complete -c auth -n '__auth_is "import"; and __auth_lacks --dry-run' -l dry-run -d 'show what would be done, and do nothing'
complete -c auth -n '__auth_is "import"; and __auth_lacks --remove' -l remove -d 'delete each secret from its source once it is stored and read back'
complete -c auth -n '__auth_is "import"; and __auth_lacks --replace' -l replace -d 'replace a stored secret that differs'
complete -c auth -n '__auth_is "import"' -l host -x -d 'import this netrc host as that of an index; may be repeated'
complete -c auth -n '__auth_is "import"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'where to store them (default: the agent chooses)'
complete -c auth -n '__auth_is "import"' -a 'pypirc uv netrc poetry pip keyring'
complete -c auth -n '__auth_is "exec"' -l index -x -a 'pypi testpypi' -d 'an index that CMD may use (default: pypi); may be repeated; uploads go to the first'
complete -c auth -n '__auth_is "exec"' -l project -x -d 'a token for this project only; may be repeated'
complete -c auth -n '__auth_is "exec"; and __auth_lacks --ttl' -l ttl -x -d 'a token that expires after 15m, 1h ...'
complete -c auth -n '__auth_is "exec"; and __auth_lacks --relay' -l relay -d 'CMD gets no credential: a relay adds it on the way, and judges every upload (default)'
complete -c auth -n '__auth_is "exec"; and __auth_lacks --env' -l env -d 'CMD gets the credentials in its environment; `exec = "env"` in config.toml makes it the default'
complete -c auth -n '__auth_is "exec"; and __auth_lacks --read-only' -l read-only -d 'behind a relay: CMD may publish nothing'
complete -c auth -n '__auth_is "exec"; and __auth_lacks --own-credential' -l own-credential -d 'behind a relay: CMD publishes with a credential that it has itself, as by trusted publishing'
complete -c auth -n '__auth_is "exec"; and __auth_lacks argument' -a '(__fish_complete_command)'
complete -c auth -n '__auth_is "token"; and __auth_lacks -u --username' -s u -l username -x -d 'the user name; needed if several are stored'
complete -c auth -n '__auth_is "token"; and __auth_lacks --no-username' -l no-username -d 'the user name is empty, for an index that takes a token as the password'
complete -c auth -n '__auth_is "token"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'look only in that provider\'s vault'
complete -c auth -n '__auth_is "token"' -l project -x -d 'a token for this project only; may be repeated'
complete -c auth -n '__auth_is "token"; and __auth_lacks --ttl' -l ttl -x -d 'a token that expires after 15m, 1h ...'
complete -c auth -n '__auth_is "token"; and __auth_lacks --describe' -l describe -d 'describe the token, and print no secret'
complete -c auth -n '__auth_is "token"; and __auth_lacks --check' -l check -d 'ask the index whether it accepts the token, and print that instead of the secret'
complete -c auth -n '__auth_is "token"; and __auth_lacks --copy' -l copy -d 'put it into the clipboard instead, and clear that after 45 seconds'
complete -c auth -n '__auth_is "token"; and __auth_lacks argument' -a 'pypi testpypi'
complete -c auth -n '__auth_is "share"; and __auth_lacks --service' -l service -x -a 'pypi testpypi' -d 'the index whose credential is shared; one, or several with `--relay`'
complete -c auth -n '__auth_is "share"; and __auth_lacks -u --username' -s u -l username -x -d 'the user name; needed if several are stored for it'
complete -c auth -n '__auth_is "share"; and __auth_lacks --no-username' -l no-username -d 'the user name is empty, for an index that takes a token as the password'
complete -c auth -n '__auth_is "share"' -l project -x -d 'tokens for this project only; with `--relay` it may be published; may be repeated'
complete -c auth -n '__auth_is "share"; and __auth_lacks --ttl' -l ttl -x -d 'end after 15m, 8h ... (default: never)'
complete -c auth -n '__auth_is "share"; and __auth_lacks --at' -l at -r -F -d 'the path of the socket'
complete -c auth -n '__auth_is "share"' -l uid -x -d 'also admit this user, besides you and root; may be repeated'
complete -c auth -n '__auth_is "share"; and __auth_lacks --whole' -l whole -d 'hand out the stored credential itself, not attenuated tokens'
complete -c auth -n '__auth_is "share"; and __auth_lacks --relay' -l relay -d 'hand out nothing: commands there run behind a relay, by `auth exec`'
complete -c auth -n '__auth_is "share"; and __auth_lacks --read-only' -l read-only -d 'with --relay: nothing may be published'
complete -c auth -n '__auth_is "share"' -l tunnel -x -d 'with --relay: also lend a way to this public HOST or HOST:PORT; may be repeated'
complete -c auth -n '__auth_is "share"; and __auth_lacks --near-end' -l near-end -d 'print the other side of `--relay` as one file, for Python 3.9 or later'
complete -c auth -n '__auth_is "share"; and __auth_lacks --for' -l for -x -a 'docker devcontainer compose kubernetes ssh' -d 'print what to paste for docker, devcontainer, compose, kubernetes or ssh HOST: for the shares of config.toml, or for the `--service`s named'
complete -c auth -n '__auth_is "share"; and __auth_lacks --stop' -l stop -d 'end the share at the PATH of `--at`, or all shares'
complete -c auth -n '__auth_is "share"; and __auth_lacks argument' 
complete -c auth -n '__auth_is "helper"; and __auth_lacks --protocol' -l protocol -x -a 'bazel' -d 'the protocol of the tool'
complete -c auth -n '__auth_is "helper"; and __auth_lacks argument' -a 'get'
complete -c auth -n '__auth_is "unlock"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'open only that provider\'s vault'
complete -c auth -n '__auth_is "passphrase set"; and __auth_lacks --keep-slots' -l keep-slots -d 'keep the other ways to open the vault (a key file ...)'
complete -c auth -n '__auth_is "log"; and __auth_lacks --since' -l since -x -d 'from this time on: 8h, 7d, 2026-01-31 or 2026-01-31T12:00'
complete -c auth -n '__auth_is "log"; and __auth_lacks --service' -l service -x -a 'pypi testpypi' -d 'only lines about this service'
complete -c auth -n '__auth_is "log"; and __auth_lacks --published' -l published -d 'only uploads by `auth exec`, with their files'
complete -c auth -n '__auth_is "log"; and __auth_lacks --follow' -l follow -d 'show new lines as they come, until Ctrl-C'
complete -c auth -n '__auth_is "log"; and __auth_lacks --verify' -l verify -d 'have the agent look for changed or removed lines and files'
complete -c auth -n '__auth_is "export"; and __auth_lacks --passphrase-file' -l passphrase-file -r -F -d 'a private file with the export\'s passphrase (default: ask for it)'
complete -c auth -n '__auth_is "export"; and __auth_lacks --yes' -l yes -d 'overwrite an older export; never ask'
complete -c auth -n '__auth_is "export"; and __auth_lacks argument' -F
complete -c auth -n '__auth_is "restore"; and __auth_lacks --replace' -l replace -d 'replace a stored secret that differs'
complete -c auth -n '__auth_is "restore"; and __auth_lacks --passphrase-file' -l passphrase-file -r -F -d 'a private file with the export\'s passphrase (default: ask for it)'
complete -c auth -n '__auth_is "restore"; and __auth_lacks --previous' -l previous -d 'the previous generation, kept beside the vault'
complete -c auth -n '__auth_is "restore"; and __auth_lacks --keyring-provider' -l keyring-provider -x -a 'keyring subprocess disabled' -d 'that provider\'s vault; for FILE, where to store'
complete -c auth -n '__auth_is "restore"; and __auth_lacks --yes' -l yes -d 'replace even a readable vault; run the commands of an export; never ask'
complete -c auth -n '__auth_is "restore"; and __auth_lacks argument' -F
complete -c auth -n '__auth_is "setup"; and __auth_lacks --undo' -l undo -d 'remove what was added, and restore every byte'
complete -c auth -n '__auth_is "setup"; and __auth_lacks --dry-run' -l dry-run -d 'say what would be written, and write nothing'
complete -c auth -n '__auth_is "setup"; and __auth_lacks --yes' -l yes -d 'answer every question with yes; never ask'
complete -c auth -n '__auth_is "setup"' -a 'keyring uv pip build twine poetry pdm devpi hatch flit shell'
complete -c auth -n '__auth_is "completion"; and __auth_lacks argument' -a 'bash fish zsh'
complete -c auth -n '__auth_is "uninstall"; and __auth_lacks --keep-credentials' -l keep-credentials -d 'leave the vaults, what opens them, and the audit log'
complete -c auth -n '__auth_is "uninstall"; and __auth_lacks --yes' -l yes -d 'never ask'
complete -c auth -n '__auth_is "trust"; and __auth_lacks argument' -a '(__fish_complete_directories)'
