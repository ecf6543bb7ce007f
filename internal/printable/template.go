package printable

import (
	"fmt"
	html "html/template"
	"strings"
	"text/template"
	"text/template/parse"
)

// Raw is text that is Markdown already, or a value for a code block: MarkdownTemplate leaves it as it is.
type Raw string

// MarkdownTemplate parses a template of Markdown. Whatever an action prints goes through Markdown, as html/template
// does it for HTML, unless it is a Raw. A mistake in the template is a panic: templates are part of the program.
func MarkdownTemplate(name, text string, functions map[string]any) *template.Template {
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

// HTMLTemplate parses a template of HTML. html/template escapes what would be markup; before that, Terminal escapes
// what would be invisible, or turn the reading direction.
func HTMLTemplate(name, text string, functions map[string]any) *html.Template {
	t := html.Must(html.New(name).Funcs(functions).Funcs(html.FuncMap{
		escape: func(v any) any {
			if text, ok := v.(string); ok {
				return Terminal(text)
			}
			return v
		},
	}).Parse(text))
	for _, part := range t.Templates() {
		escapeActions(part.Tree, part.Tree.Root)
	}
	return t
}

// escape is the function that escapeActions appends to every action that prints.
const escape = "escapeText"

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
