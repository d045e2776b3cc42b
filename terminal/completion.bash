# tandem's completion for bash: source <(tandem completion bash)
_tandem() {
	local -a words
	local line=${COMP_LINE:0:COMP_POINT} last word before='' c
	read -ra words <<< "$line"
	[[ $line == *[[:space:]] ]] && words+=('')
	last=${words[-1]}
	# Readline completes the part behind such a character alone.
	for c in : = @; do
		[[ $COMP_WORDBREAKS == *$c* && $last == *$c* ]] || continue
		word=${last%"${last##*"$c"}"}
		((${#word} > ${#before})) && before=$word
	done
	COMPREPLY=()
	while IFS=$'\t' read -r word _; do
		COMPREPLY+=("${word#"$before"}")
	done < <("${words[0]}" complete -- "${words[@]:1}" 2> /dev/null)
}
complete -o default -F _tandem tandem
