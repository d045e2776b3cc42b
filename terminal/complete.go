package terminal

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/alecthomas/kong"

	"tandem/client"
)

//go:embed completion.bash
var bash string

//go:embed completion.zsh
var zsh string

//go:embed completion.fish
var fish string

// Completion is tandem completion.
type Completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by --help.
func (*Completion) Help() string {
	return `bash: add  source <(tandem completion bash)  to ~/.bashrc
zsh:  add  source <(tandem completion zsh)   to ~/.zshrc, after compinit
fish: tandem completion fish > ~/.config/fish/completions/tandem.fish`
}

// Run prints the script.
func (c *Completion) Run() error {
	_, err := fmt.Print(map[string]string{"bash": bash, "zsh": zsh, "fish": fish}[c.Shell])
	return err
}

// Complete is called by the scripts: it prints the possible values of the last word, one per line, each with its help
// after a tab. It prints nothing if a file is possible.
type Complete struct {
	Words []string `arg:"" optional:"" passthrough:""`
}

// Run prints.
func (c *Complete) Run(ctx *kong.Context) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" {
		words = words[1:]
	}
	if len(words) == 0 {
		words = []string{""}
	}
	for _, p := range possible(ctx.Model.Node, words) {
		help, _, _ := strings.Cut(Plain(p.help), ";")
		fmt.Printf("%s\t%s\n", Plain(p.word), help)
	}
	return nil
}

type possibility struct{ word, help string }

// possible returns the possible values of the last word after the others.
func possible(node *kong.Node, words []string) (all []possibility) {
	last := words[len(words)-1]
	args := 0
	var value *kong.Value // of a flag that takes the next word
	for _, w := range words[:len(words)-1] {
		switch child := childOf(node, w); {
		case value != nil:
			value = nil
		case strings.HasPrefix(w, "-") && w != "-":
			if f := flagOf(node, w); f != nil && !f.IsBool() && !strings.Contains(w, "=") {
				value = f.Value
			}
		case child != nil:
			node, args = child, 0
		default:
			args++
		}
	}
	add := func(word, help string) {
		if strings.HasPrefix(word, last) {
			all = append(all, possibility{word, help})
		}
	}
	name, _, given := strings.Cut(last, "=")
	switch {
	case value == nil && strings.HasPrefix(last, "--") && given:
		if f := flagOf(node, name); f != nil {
			for _, v := range valuesOf(f.Value) {
				add(name+"="+v, "")
			}
		}
	case value == nil && strings.HasPrefix(last, "-"):
		for _, f := range flagsOf(node) {
			add("--"+f.Name, f.Help)
		}
	default:
		if value == nil {
			for _, child := range node.Children {
				if !child.Hidden {
					add(child.Name, child.Help)
				}
			}
			if n := len(node.Positional); n > 0 && (args < n || node.Positional[n-1].IsCumulative()) {
				value = node.Positional[min(args, n-1)]
			}
		}
		if value != nil {
			for _, v := range valuesOf(value) {
				add(v, "")
			}
		}
	}
	return all
}

func childOf(node *kong.Node, name string) *kong.Node {
	at := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == name })
	if at < 0 {
		return nil
	}
	return node.Children[at]
}

// flagsOf returns the flags that are possible here; for a node with a default command, its too.
func flagsOf(node *kong.Node) (flags []*kong.Flag) {
	for _, group := range node.AllFlags(true) {
		flags = append(flags, group...)
	}
	if node.DefaultCmd != nil {
		flags = append(flags, node.DefaultCmd.Flags...)
	}
	return flags
}

func flagOf(node *kong.Node, word string) *kong.Flag {
	word, _, _ = strings.Cut(word, "=")
	for _, f := range flagsOf(node) {
		if word == "--"+f.Name || f.Short != 0 && word == "-"+string(f.Short) {
			return f
		}
	}
	return nil
}

// askWithin is how long a user who has pressed Tab waits for the server.
const askWithin = 2 * time.Second

// valuesOf returns the known values of a flag or an argument.
func valuesOf(v *kong.Value) (names []string) {
	if v.Enum != "" {
		return v.EnumSlice()
	}
	kind := v.Tag.Get("predictor")
	if kind == "server" {
		if logins, err := client.OpenLogins(); err == nil {
			all, _ := logins.All() // an error only means no suggestions
			for _, l := range all {
				names = append(names, l.Server)
			}
		}
		return names
	}
	path, key := "/v1/rooms", "name"
	switch kind {
	case "room":
	case "user":
		path, key = "/v1/private", "username"
	default:
		return nil
	}
	c, err := Server{}.Connect()
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), askWithin)
	defer cancel()
	_ = list(ctx, c, path, func(raw json.RawMessage) error {
		var item map[string]any
		err := json.Unmarshal(raw, &item)
		if name, ok := item[key].(string); ok {
			names = append(names, name)
		}
		return err
	})
	return names
}
