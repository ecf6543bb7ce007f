package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/degas-dns/degas/model"
)

// untrained is a small model with the weights that training would begin from.
func untrained(t *testing.T) *model.Model {
	t.Helper()
	spec, err := model.Preset("mlbridge")
	if err != nil {
		t.Fatal(err)
	}
	w, err := model.Initial(&spec, 1)
	if err != nil {
		t.Fatal(err)
	}
	return &model.Model{Spec: spec, Weights: w, Threshold: 0.5}
}

// The server prints where it is, answers, and stops when it is interrupted.
func TestServe(t *testing.T) {
	dir := t.TempDir()
	if err := untrained(t).Save(dir); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	in, out := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"degas", "serve", dir, "--name", "m", "--addr", "127.0.0.1:0"}, strings.NewReader(""), out, io.Discard)
		out.Close()
	}()
	url, err := bufio.NewReader(in).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.Post(strings.TrimSpace(url)+":predict", "application/json", strings.NewReader(`{"instances": ["a.com"]}`))
	if err != nil {
		t.Fatal(err)
	}
	data, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(data), `"predictions":[{"label":`) {
		t.Errorf("%s: %s, %v", resp.Status, data, err)
	}
	interrupt()
	if code := <-ended; code != 0 {
		t.Errorf("exit status %d", code)
	}
}
