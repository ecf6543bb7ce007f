package main

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/go/packages"
)

// TestOtherPlatforms checks the types of degas and of all that it imports as they are on platforms that no test runs
// on. A build would compile every dependency for each of them, minutes on a machine that never did; of dependencies the
// declarations are enough.
func TestOtherPlatforms(t *testing.T) {
	if testing.Short() {
		t.Skip("types of four platforms take half a minute")
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, platform := range []string{"windows/amd64", "darwin/arm64", "linux/arm64", "freebsd/amd64"} {
		t.Run(platform, func(t *testing.T) {
			system, arch, _ := strings.Cut(platform, "/")
			config := &packages.Config{
				Mode: packages.NeedName | packages.NeedFiles | packages.NeedCompiledGoFiles | packages.NeedImports |
					packages.NeedDeps |
					packages.NeedTypes | packages.NeedSyntax | packages.NeedTypesInfo | packages.NeedTypesSizes | packages.NeedModule,
				Context: t.Context(),
				Dir:     root,
				Env:     append(os.Environ(), "CGO_ENABLED=0", "GOOS="+system, "GOARCH="+arch),
				ParseFile: func(fset *token.FileSet, name string, src []byte) (*ast.File, error) {
					return parseFor(root, fset, name, src)
				},
			}
			found, err := packages.Load(config, "./cmd/degas")
			if err != nil {
				t.Fatal(err)
			}
			ours := 0
			packages.Visit(found, nil, func(p *packages.Package) {
				own := p.Module != nil && p.Module.Main
				if own {
					ours++
				}
				for _, e := range p.Errors {
					// Without their functions' bodies, dependencies import what they do not use.
					if own || e.Kind != packages.TypeError {
						t.Error(e)
					}
				}
			})
			if ours < 10 {
				t.Errorf("%d packages of this module were checked", ours)
			}
		})
	}
}

// parseFor reads a Go file, without the bodies of its functions unless it lies under root.
func parseFor(root string, fset *token.FileSet, name string, src []byte) (*ast.File, error) {
	file, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
	if file == nil || strings.HasPrefix(name, root+string(filepath.Separator)) {
		return file, err
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok {
			f.Body = nil
		}
	}
	return file, err
}
