package printable

import (
	"fmt"
	"strings"
	"text/template"
	"text/template/parse"
)

// Raw is text that is Markdown already, or a value for a code block: MarkdownTemplate leaves it as it is.
type Raw string

// MarkdownTemplate parses a template of Markdown. Whatever an action prints goes through Markdown, as html/template
// does it for HTML, unless it is a Raw. A mistake in the template is a panic: templates are part of the program.
func MarkdownTemplate(name, text string, functions template.FuncMap) *template.Template {
	t := template.Must(template.New(name).Funcs(functions).Funcs(template.FuncMap{
		escape: func(v any) string {
			if raw, ok := v.(Raw); ok {
				return string(raw)
			}
			return Markdown(fmt.Sprint(v))
		},
	}).Parse(text))
	for _, part := range t.Templates() {
		escapeActions(part.Tree, part.Root)
	}
	return t
}

// escape is the function that MarkdownTemplate appends to every action that prints.
const escape = "escapeMarkdown"

func escapeActions(tree *parse.Tree, n parse.Node) {
	switch n := n.(type) {
	case *parse.ListNode:
		if n == nil { // there is no {{else}}
			return
		}
		for _, child := range n.Nodes {
			escapeActions(tree, child)
		}
	case *parse.IfNode:
		escapeActions(tree, n.List)
		escapeActions(tree, n.ElseList)
	case *parse.RangeNode:
		escapeActions(tree, n.List)
		escapeActions(tree, n.ElseList)
	case *parse.WithNode:
		escapeActions(tree, n.List)
		escapeActions(tree, n.ElseList)
	case *parse.ActionNode:
		if len(n.Pipe.Decl) == 0 { // else it sets a variable
			f := parse.NewIdentifier(escape).SetTree(tree).SetPos(n.Pos)
			n.Pipe.Cmds = append(n.Pipe.Cmds, &parse.CommandNode{NodeType: parse.NodeCommand, Pos: n.Pos,
				Args: []parse.Node{f}})
		}
	}
}

// Code writes s as a code span of Markdown, which no renderer makes a link of. A | would end a table's cell even there,
// and a backtick the span: they become \x7c and \x60.
func Code(s string) Raw {
	if s == "" {
		return ""
	}
	return Raw("`" + strings.NewReplacer("|", `\x7c`, "`", `\x60`).Replace(Terminal(s)) + "`")
}
