# tokenward is auth by another name.
complete -c tokenward -w auth
