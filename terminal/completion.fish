# tandem's completion for fish: tandem completion fish > ~/.config/fish/completions/tandem.fish
function __tandem_complete
    set -l words (commandline -opc)
    set -l last (commandline -ct)
    set -l found ($words[1] complete -- $words[2..-1] "$last" 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path $last
    end
end
complete -c tandem -f -a '(__tandem_complete)'
