package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/degas-dns/degas/internal/bucket/buckettest"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"degas": func() { os.Exit(run(context.Background(), os.Args, os.Stdin, os.Stdout, os.Stderr)) },
	})
}

// Each script is a session at the command line; testdata/script holds them.
func TestScripts(t *testing.T) {
	office, err := filepath.Abs("testdata/office.pcap")
	if err != nil {
		t.Fatal(err)
	}
	storage := buckettest.New(t)
	p := testscript.Params{Dir: "testdata/script", Setup: func(e *testscript.Env) error {
		e.Setenv("OFFICE", office)
		e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, ".cache"))
		e.Vars = append(e.Vars, storage.Env()...)
		return nil
	}}
	if testing.Short() { // For the race detector: the commands whose work several goroutines do. The others take minutes.
		p.Dir = ""
		for _, name := range []string{"run", "scan", "classify"} {
			p.Files = append(p.Files, filepath.Join("testdata", "script", name+".txtar"))
		}
	}
	testscript.Run(t, p)
}

// The same for a degas with CUDA, run by scripts/gpu-build --emulated go test -tags gpu.
func TestEmulatedGPU(t *testing.T) {
	if os.Getenv("DEGAS_EMULATED") == "" {
		t.Skip("takes a GPU's driver, emulated")
	}
	testscript.Run(t, testscript.Params{Dir: "testdata/gpu", Setup: func(e *testscript.Env) error {
		e.Setenv("LD_LIBRARY_PATH", os.Getenv("LD_LIBRARY_PATH"))
		return nil
	}})
}
