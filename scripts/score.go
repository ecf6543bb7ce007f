//go:build ignore

// Score answers for verify_exports.py as a program does that embeds a model: one base64 name a line in, one line of
// JSON out, {"score", "label"}.
//
//	go run scripts/score.go models/degas/1
package main

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"log"
	"os"

	"github.com/degas-dns/degas/model"
)

func main() {
	m, err := model.LoadNamed(os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := model.NewClassifier(m)
	if err != nil {
		log.Fatal(err)
	}
	out := json.NewEncoder(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		name, err := base64.StdEncoding.DecodeString(lines.Text())
		if err != nil {
			log.Fatal(err)
		}
		v := classifier.Predict(string(name))
		if alone := classifier.Score(string(name)); alone != v.Score {
			log.Fatalf("%q: Score %v, Predict %v", name, alone, v.Score)
		}
		if err := out.Encode(map[string]any{"score": v.Score, "label": v.Label}); err != nil {
			log.Fatal(err)
		}
	}
	if err := lines.Err(); err != nil {
		log.Fatal(err)
	}
}
