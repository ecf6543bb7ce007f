package deps

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/trainer"
	_ "github.com/degas-dns/degas/trainer/graph"
)

func TestTry(t *testing.T) {
	dir := "/tmp/try"
	os.RemoveAll(dir)
	t0 := time.Now()
	m, err := datasets.Process(context.Background(), "/work/shared/data/raw", dir+"/processed", datasets.ProcessOptions{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("process", time.Since(t0), m.RowsIn, m.RefusedBy, m.Duplicates, m.Conflicts.Names, m.Kept)
	for _, s := range m.Splits {
		fmt.Println(s.Name, s.Rows, s.ByClass)
	}
	o := trainer.DefaultOptions()
	o.Epochs = 1
	s, err := trainer.Train(context.Background(), trainer.Request{Dir: dir + "/runs/a", Config: trainer.Config{Arch: "cnn", Target: "binary", Engine: "cpu", Data: dir + "/processed", Options: o}}, trainer.Observer{Epoch: func(e trainer.Epoch) { fmt.Printf("%+v\n", e) }})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%+v\n", s)
}
