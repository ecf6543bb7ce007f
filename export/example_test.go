package export_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/export"
	"github.com/degas-dns/degas/model"
)

func ExampleExport() {
	spec, err := model.Preset("degas")
	if err != nil {
		log.Fatal(err)
	}
	weights, err := model.Initial(&spec, 1) // a trained model comes from model.Load
	if err != nil {
		log.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "degas")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)

	m := &model.Model{Spec: spec, Weights: weights, Threshold: 0.5}
	report, err := export.Export(context.Background(), m, filepath.Join(dir, "models", "degas", "1"), export.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, f := range report.Files {
		fmt.Println(f.Path)
	}
	// Output:
	// README.md
	// manifest.json
	// model.h5
	// model.json
	// model.onnx
	// model.safetensors
	// saved_model.pb
}
