package model

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/internal/float16"
)

// A file of float16 reads as the rounded weights. A weight that does not fit is named.
func TestHalfFiles(t *testing.T) {
	spec := mlbridge()
	weights, err := Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	m := &Model{Spec: spec, Weights: weights, Threshold: 0.5}
	description, half, err := m.HalfFiles()
	if err != nil {
		t.Fatal(err)
	}
	file, err := parse(description)
	if err == nil {
		err = file.setWeights(half)
	}
	if err != nil {
		t.Fatal(err)
	}
	for name, tensor := range weights {
		for i, v := range tensor.Data {
			h, _ := float16.Round(v)
			if got := file.Weights[name].Data[i]; got != float16.Widen(h) {
				t.Fatalf("%s value %d: %g of %g, want %g", name, i, got, v, float16.Widen(h))
			}
		}
	}
	again, halfAgain, err := file.HalfFiles()
	if err != nil || string(again) != string(description) || string(halfAgain) != string(half) {
		t.Errorf("the files of rounded weights are others: %v", err)
	}
	for _, bad := range []uint16{0x7c00, 0xfc00, 0x7e00} { // the last two bytes are of the last tensor
		damaged := []byte(string(half[:len(half)-2]) + string([]byte{byte(bad), byte(bad >> 8)}))
		file.WeightsSHA256 = ""
		if err := file.setWeights(damaged); err == nil {
			t.Errorf("%#04x is taken as a weight", bad)
		}
	}
	if err := file.setWeights([]byte(string(half) + "\x00\x00")); err == nil {
		t.Error("bytes behind the last tensor are passed over")
	}
	weights["dense/bias"].Data[1] = 1e5
	_, _, err = m.HalfFiles()
	if err == nil || !strings.Contains(err.Error(), "dense/bias value 1: 100000 does not fit") {
		t.Errorf("a weight of 100000: %v", err)
	}
}
