# Completion of kopia-rs for fish, as `kopia-rs completions fish` prints it.
function __kopia_rs_complete
    set -l words (commandline --current-process --tokenize --cut-at-cursor)
    set -l current (commandline --cut-at-cursor --current-token | string unescape)
    PROGRAM completions -- $words "$current" 2>/dev/null
end
complete --keep-order --no-files --command kopia-rs --arguments '(__kopia_rs_complete)'
