package degas

import (
	"os/exec"
	"strings"
	"testing"
)

// Who builds the plugin builds none of what trains models.
func TestDependencies(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "./...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for path := range strings.Lines(string(out)) {
		for _, heavy := range []string{"gorgonia.org/", "github.com/apache/arrow", "gonum.org/v1/plot", "golearn",
			"gocloud.dev/"} {
			if strings.Contains(path, heavy) {
				t.Errorf("%s", strings.TrimSpace(path))
			}
		}
	}
}
