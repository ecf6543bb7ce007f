package deps

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/degas-dns/degas/evaluate"
)

func TestEval(t *testing.T) {
	t0 := time.Now()
	m, err := evaluate.Run(context.Background(), evaluate.RunOptions{RunDir: "/tmp/try/runs/a"})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(time.Since(t0))
	m.Print(os.Stdout)
}
