package tensorflow_test

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/tensorflow"
)

func ExampleHandler() {
	spec, err := model.Preset("mlbridge")
	if err != nil {
		log.Fatal(err)
	}
	weights, err := model.Initial(&spec, 1) // trained versions come from models.Open
	if err != nil {
		log.Fatal(err)
	}
	classifier, err := model.NewClassifier(&model.Model{Spec: spec, Weights: weights, Threshold: 0.5})
	if err != nil {
		log.Fatal(err)
	}
	set, err := models.Of("shop", nil, classifier)
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(&tensorflow.Handler{Models: set}) // http.Server in a program
	defer server.Close()

	response, err := http.Get(server.URL + "/v1/models/shop")
	if err != nil {
		log.Fatal(err)
	}
	status, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(status))

	response, err = http.Post(server.URL+"/v1/models/shop:predict", "application/json",
		strings.NewReader(`{"instances": ["192.0.2.1"]}`))
	if err != nil {
		log.Fatal(err)
	}
	predictions, err := io.ReadAll(response.Body)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Print(string(predictions))
	// Output:
	// {
	//  "model_version_status": [
	//   {
	//    "version": "1",
	//    "state": "AVAILABLE",
	//    "status": {
	//     "error_code": "OK",
	//     "error_message": ""
	//    }
	//   }
	//  ]
	// }
	// {"predictions":[{"label":"invalid","score":[0.0],"scores":[0.0,0.0]}]}
}
