#compdef tandem
# tandem's completion for zsh: source <(tandem completion zsh), or a file _tandem in your fpath
_tandem() {
	local line
	local -a found
	while IFS= read -r line; do
		found+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
	done < <("${words[1]}" complete -- "${(@)words[2,CURRENT]}" 2> /dev/null)
	if (( $#found )); then
		_describe -V tandem found
	else
		_files
	fi
}
if [[ $funcstack[1] == _tandem ]]; then
	_tandem "$@"
else
	compdef _tandem tandem
fi
