// Command gen writes docs/reference: a page and JSON schemas of what degas run, degas tune and train-model --arch read.
// Both are made of the structs that those files are read into: a key's description is its field's comment.
//
//	go generate ./pipeline
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/pipeline"
	"github.com/degas-dns/degas/trainer/tune"

	_ "github.com/degas-dns/degas/export/formats"
	_ "github.com/degas-dns/degas/trainer/cuda"
	_ "github.com/degas-dns/degas/trainer/graph"
)

func main() {
	files, err := Files("..")
	for name, text := range files {
		if err == nil {
			err = os.WriteFile(filepath.Join("..", "docs", "reference", name), []byte(text), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

// kind is a kind of file.
type kind struct {
	file     string // the schema's name
	title    string
	about    string
	tag      string // yaml or json
	of       reflect.Type
	required []string
}

var kinds = []kind{
	{"run.schema.json", "degas run", "A pipeline. `configs/` has an example for each purpose.", "yaml",
		reflect.TypeFor[pipeline.Config](), []string{"version", "name"}},
	{"tune.schema.json", "degas tune", "A search for an architecture and a recipe, such as `configs/tune.yaml`.", "yaml",
		reflect.TypeFor[tune.Config](), []string{"version", "search"}},
	{"spec.schema.json", "A Spec", "An architecture for `train-model --arch FILE.json`, or for `arch` in a config, " +
		"such as `configs/spec.json`. The spec in a model.json is one.", "json",
		reflect.TypeFor[model.Spec](), []string{"encoder", "layers"}},
}

// Files are the contents of docs/reference by name. root is the repository's folder.
func Files(root string) (map[string]string, error) {
	out := map[string]string{}
	page := "<!-- Made by go generate ./pipeline of the comments in the code. Do not edit. -->\n" +
		"# Files that you write\n\n" +
		"For an editor that knows JSON schemas, this line on top of a YAML file names its schema:\n\n" +
		"    # yaml-language-server: $schema=../docs/reference/run.schema.json\n\n" +
		"A value in brackets is what is taken where the key is left out. Unknown keys are errors.\n"
	heading := map[reflect.Type]string{}
	for _, k := range kinds {
		d := describer{kind: k, root: root, comments: map[string]map[string]string{}}
		section, err := d.page(heading)
		if err != nil {
			return nil, err
		}
		page += section
		if out[k.file], err = d.schema(); err != nil {
			return nil, err
		}
	}
	out["config.md"] = page
	return out, nil
}
