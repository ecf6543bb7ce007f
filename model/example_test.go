package model_test

import (
	"context"
	"fmt"
	"log"

	"github.com/degas-dns/degas/model"
)

// A program that embeds a classifier needs this package alone. Names may be written in any way: with a final dot, in
// capitals, as an international name, with a port or as a URL.
func Example() {
	spec, err := model.Preset("lstm")
	if err != nil {
		log.Fatal(err)
	}
	weights, err := model.Initial(&spec, 1) // a trained model comes from model.LoadAny
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := model.NewClassifier(&model.Model{Spec: spec, Weights: weights, Threshold: 0.5})
	if err != nil {
		log.Fatal(err)
	}

	// One name: a score from 0 to 1, and the label that the model's threshold gives it.
	v := classifier.Predict("HTTPS://www.Google.com/")
	fmt.Printf("%.3f %s\n", v.Score, v.Label)
	v = classifier.Predict("192.0.2.1") // no name
	fmt.Println(v.Label, v.Invalid)

	// Many names at once use all cores.
	names := []string{"google.com", "xjpakmdcfuqe.biz"}
	p := make([]float32, len(names)*classifier.Width())
	if err := classifier.Probabilities(context.Background(), names, p); err != nil {
		log.Fatal(err)
	}
	for i, name := range names {
		row := p[i*classifier.Width():][:classifier.Width()]
		fmt.Printf("%s %.3f\n", name, model.ScoreOf(row))
	}
	// Output:
	// 0.503 malicious
	// invalid an IP address, not a name
	// google.com 0.504
	// xjpakmdcfuqe.biz 0.499
}
