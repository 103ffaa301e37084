#compdef kopia-rs
# Completion of kopia-rs for zsh, as `kopia-rs completions zsh` prints it.
_kopia_rs() {
    local line value help
    local -a open whole
    for line in "${(@f)$(PROGRAM completions -- "${(@Q)words[1,CURRENT]}" 2>/dev/null)}"; do
        [[ -n $line ]] || continue
        value=${line%%$'\t'*} help=
        [[ $line == *$'\t'* ]] && help=":${line#*$'\t'}"
        value=${${value//\\/\\\\}//:/\\:}
        if [[ $value == */ ]]; then open+=("$value$help"); else whole+=("$value$help"); fi
    done
    # After a folder its path goes on.
    (( $#open )) && _describe -V 'folders' open -S ''
    (( $#whole )) && _describe -V 'values' whole
}
if [[ $funcstack[1] == _kopia-rs ]]; then
    _kopia_rs "$@"
else
    compdef _kopia_rs kopia-rs
fi
