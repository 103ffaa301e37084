# Completion of kopia-rs for bash, as `kopia-rs completions bash` prints it.
_kopia_rs() {
    local line=${COMP_LINE:0:COMP_POINT} word current kept i words=()
    # Bash splits words at : @ and =, which sources have: what touches in the line is one word again.
    for word in "${COMP_WORDS[@]:0:COMP_CWORD+1}"; do
        if [[ ${#words[@]} -eq 0 || $line == [[:space:]]* ]]; then
            line=${line#"${line%%[![:space:]]*}"}
            words+=("${word:0:${#line}}")
        else
            words[${#words[@]}-1]+=${word:0:${#line}}
        fi
        line=${line#"$word"}
    done
    current=${words[${#words[@]}-1]}
    local quote=
    if [[ $current == [\"\']* ]]; then
        quote=${current:0:1}
        current=${current:1}
    else
        current=${current//\\/}
    fi
    words[${#words[@]}-1]=$current
    # What comes before the piece that readline replaces.
    kept=${2#[\"\']}
    kept=${current%"${kept//\\/}"}
    COMPREPLY=()
    while IFS= read -r word; do
        word=${word%%$'\t'*}
        word=${word#"$kept"}
        [[ $quote ]] || printf -v word %q "$word"
        COMPREPLY+=("$word")
    done < <(PROGRAM completions -- "${words[@]}" 2>/dev/null)
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/:] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
if [[ ${BASH_VERSINFO[0]} -gt 4 || ${BASH_VERSINFO[0]} -eq 4 && ${BASH_VERSINFO[1]} -ge 4 ]]; then
    complete -o nosort -F _kopia_rs kopia-rs
else
    complete -F _kopia_rs kopia-rs
fi
