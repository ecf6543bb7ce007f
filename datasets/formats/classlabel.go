package formats

import (
	"encoding/json"
	"strconv"

	"github.com/parquet-go/parquet-go"
)

// classLabels finds the words that the numbers in a Parquet file's columns stand for, by column. Hugging Face's
// datasets store them beside the table, under the key huggingface, as
//
//	{"info": {"features": {"label": {"names": ["dga", "benign"], "_type": "ClassLabel"}}}}
//
// Without them 0 would be read as benign, whatever it stands for.
func classLabels(file *parquet.File) map[string][]string {
	text, ok := file.Lookup("huggingface")
	if !ok {
		return nil
	}
	var meta struct {
		Info struct {
			Features map[string]json.RawMessage `json:"features"`
		} `json:"info"`
	}
	if json.Unmarshal([]byte(text), &meta) != nil {
		return nil // it is somebody else's key
	}
	out := map[string][]string{}
	for column, raw := range meta.Info.Features {
		var feature struct { // a feature of another type may be a list
			Names []string `json:"names"`
		}
		if json.Unmarshal(raw, &feature) == nil && len(feature.Names) > 0 {
			out[column] = feature.Names
		}
	}
	return out
}

// named is the word that a number stands for; a value that stands for none is left as it is.
func named(value []byte, words []string) []byte {
	if i, err := strconv.Atoi(string(value)); err == nil && i >= 0 && i < len(words) {
		return []byte(words[i])
	}
	return value
}
