package export

import (
	"bytes"
	"cmp"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"

	"github.com/degas-dns/degas/datasets/sources"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
)

// Descriptions of a version directory, for programs and for people.
const (
	ManifestFile = "manifest.json"
	CardFile     = "README.md"
)

// Manifest is manifest.json.
type Manifest struct {
	Format    int      `json:"format"`
	Name      string   `json:"name"`   // of the architecture
	Title     string   `json:"title"`  // of the card
	Labels    []string `json:"labels"` // in output order, the benign one first
	Threshold float64  `json:"threshold"`
	// ThresholdFPR is the false-positive rate that Threshold was chosen for, 0 if there is none.
	ThresholdFPR float64       `json:"threshold_fpr,omitempty"`
	Parameters   int           `json:"parameters"`
	Input        string        `json:"input"`
	Encoder      model.Encoder `json:"encoder"` // how names become codes: alphabet, window, padding
	// TrainingData is the fingerprint of the training data, "" when unknown.
	TrainingData string `json:"training_data"`
	// Rows and Sources are what is known of the training data; 0 and none when unknown.
	Rows    int64    `json:"training_rows,omitempty"`
	Sources []Source `json:"sources,omitempty"`
	// Warnings are what a user of the model must know.
	Warnings []string `json:"warnings,omitempty"`
	Producer string   `json:"producer"`
	// Metrics are the run's evaluation, if there was one.
	Metrics map[string]float64 `json:"metrics,omitempty"`
	// LeftOut is why the run's evaluation is none of this model, "" if it is or if there was none.
	LeftOut string `json:"evaluation_left_out,omitempty"`
	Files   []File `json:"files"` // without this one, the model card and SHA256SUMS
	// released is the built-in model's card, "" for any other model.
	released string
}

// Source is where training names come from.
type Source struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"`
	Licence string `json:"licence"` // its publisher's
}

// Released is the built-in model's card as a chapter of the page, "" for any other model.
func (m Manifest) Released() printable.Raw {
	text := strings.TrimSpace(m.released)
	if title, ok := strings.CutPrefix(text, "# "); ok {
		text = "## " + title
	}
	return printable.Raw(text)
}

//go:embed recipe.py
var recipe string

// Recipe is a program in Python that scores names with the ONNX file, "" where there is none.
func (m Manifest) Recipe() printable.Raw {
	if !slices.ContainsFunc(m.Files, func(f File) bool { return f.Path == "model.onnx" }) {
		return ""
	}
	return printable.Raw(recipe)
}

// describe writes the manifest and the model card of the files in dir.
func describe(dir string, m *model.Model, o Options) error {
	files, err := sums(dir)
	if err != nil {
		return err
	}
	c := Manifest{
		Format:       1,
		Name:         m.Spec.Name,
		Title:        cmp.Or(o.Title, m.Spec.Name),
		Labels:       m.Spec.Labels,
		Threshold:    m.Threshold,
		ThresholdFPR: m.ThresholdFPR,
		Parameters:   m.Weights.Size(),
		Input:        m.Spec.Input(),
		Encoder:      m.Spec.Encoder,
		TrainingData: m.Dataset,
		Producer:     m.Producer,
		Metrics:      o.Metrics,
		LeftOut:      o.LeftOut,
		Files:        files,
	}
	for _, name := range slices.Sorted(maps.Keys(m.Sources)) {
		c.Rows += m.Sources[name]
		c.Sources = append(c.Sources, Source{name, m.Sources[name], sources.Licence(name)})
	}
	if warning := model.SampleWarning(m.Sources); warning != "" {
		c.Warnings = append(c.Warnings, warning)
	}
	if err := atomicfile.WriteJSON(filepath.Join(dir, ManifestFile), c); err != nil {
		return err
	}
	if is, err := model.IsBuiltin(m); err != nil {
		return err
	} else if is {
		c.released = model.BuiltinCard()
	}
	var card bytes.Buffer
	if err := cardPage.Execute(&card, c); err != nil {
		return fmt.Errorf("describe: %w", err)
	}
	return atomicfile.Write(filepath.Join(dir, CardFile), card.Bytes())
}

// cardPage is the model card: Hugging Face's form, YAML first (https://huggingface.co/docs/hub/model-cards).
var cardPage = printable.MarkdownTemplate("card", `---
library_name: degas
pipeline_tag: text-classification
tags: [dns, dga, security]
{{- if .Metrics}}
model-index:
- name: {{json .Title}}
  results:
  - task: {type: text-classification}
    dataset: {name: {{json .TrainingData}}, type: degas, split: test}
    metrics:
{{- range $k := keys .Metrics}}
    - {type: {{raw $k}}, value: {{index $.Metrics $k}}}
{{- end}}
{{- end}}
---

# {{.Title}}
{{range .Warnings}}
**{{.}}**
{{end}}
A classifier for DNS names, of the architecture {{.Name}}, made by {{or .Producer "degas"}}.`+
	` It tells apart: {{join .Labels ", "}}.`+
	` {{.Parameters}} parameters.

- **Score**: the probability that a name is not {{index .Labels 0}}. From {{.Threshold}} on a name is called `+
	`{{if eq (len .Labels) 2}}{{index .Labels 1}}{{else}}by the likeliest of the other labels{{end}}`+
	`{{with .ThresholdFPR}}; that was chosen for a rate of {{.}} false alarms a benign name{{end}}.
- **Input**: {{.Encoder.Window}} codes a name, called {{code .Input}}; `+"`manifest.json`"+
	` says how a name becomes codes. The SavedModel also takes names.
- **Training data**: {{if .TrainingData}}degas data set {{code .TrainingData}}{{else}}not known{{end}}.
{{- if .Sources}} Its {{.Rows}} training names keep their publishers' licences:

| source | names | licence |
|---|---|---|
{{range .Sources}}| {{.Name}} | {{.Rows}} | {{.Licence}} |
{{end}}
`+"`manifest.json`"+` and the ONNX file's metadata say the same. A SavedModel has no place for it: keep this file
beside it.
{{end}}
{{if .Metrics}}
| measured on its test split | |
|---|---|
{{range $k := keys .Metrics}}| {{raw $k}} | {{printf "%.6g" (index $.Metrics $k)}} |
{{end}}{{else if .LeftOut}}
The evaluation of its run is left out: {{.LeftOut}}.
{{else if not .Released}}
It was not measured before it was exported.
{{end}}
Families that it was not trained on are found far less often than these; the mix of names on a network is another one`+
	` than in a data set. Count
false alarms on your own benign traffic before acting on a score.
{{with .Released}}
{{.}}
{{end}}{{if .Recipe}}
## Score names in Python

These lines score names with ONNX Runtime as `+"`degas predict`"+` does. They are run in this folder and fold names in
the same way: case, final dots, international names, ports, URLs. What is no name gets the label `+"`invalid`"+`. The
one difference: a URL without http:// whose top-level domain does not exist, such as a.b/c.

`+"```python"+`
{{.Recipe}}`+"```"+`
{{end}}
| file | bytes | SHA-256 |
|---|---|---|
{{range .Files}}| {{.Path}} | {{.Bytes}} | {{.SHA256}} |
{{end}}`, map[string]any{
	"code": printable.Code,
	"join": strings.Join,
	"json": func(v any) (printable.Raw, error) {
		b, err := json.Marshal(v)
		return printable.Raw(printable.JSON(b)), err
	},
	"keys": func(m map[string]float64) []string { return slices.Sorted(maps.Keys(m)) },
	"raw":  func(s string) printable.Raw { return printable.Raw(s) },
})
