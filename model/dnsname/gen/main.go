// Command gen writes suffixes.txt: the rules of the public suffix list as golang.org/x/net/publicsuffix has them. That
// package keeps them in a form that only it can search, but its tests list them.
package main

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
)

func main() {
	rules, version, err := Rules()
	if err == nil {
		err = os.WriteFile("suffixes.txt", []byte(File(rules, version)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// File returns the contents of suffixes.txt.
func File(rules []string, version string) string {
	return "// The rules of the public suffix list, https://publicsuffix.org/list/, with its private section, " +
		"as of golang.org/x/net " + version + ".\n" +
		"// This Source Code Form is subject to the terms of the Mozilla Public License, v. 2.0: " +
		"https://mozilla.org/MPL/2.0/.\n" +
		strings.Join(rules, "\n") + "\n"
}

// Rules reads the rules from the source of the module's version in go.mod.
func Rules() (rules []string, version string, err error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Version}} {{.Dir}}", "golang.org/x/net").Output()
	if err != nil {
		return nil, "", fmt.Errorf("go list: %w", err)
	}
	version, dir, _ := strings.Cut(strings.TrimSpace(string(out)), " ")
	f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(dir, "publicsuffix", "table_test.go"), nil, 0)
	if err != nil {
		return nil, "", err
	}
	ast.Inspect(f, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok || spec.Names[0].Name != "rules" {
			return true
		}
		for _, e := range spec.Values[0].(*ast.CompositeLit).Elts {
			rule, unquoteErr := strconv.Unquote(e.(*ast.BasicLit).Value)
			if unquoteErr != nil {
				err = unquoteErr
			}
			rules = append(rules, rule)
		}
		return false
	})
	if err == nil && len(rules) == 0 {
		err = fmt.Errorf("no rules in %s", dir)
	}
	return rules, version, err
}
