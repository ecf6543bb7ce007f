package trainer

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/model/dnsname"
)

// mixed is a Set of 2n benign, n DGA and n tunnel names.
func mixed(t *testing.T, n int) *Set {
	t.Helper()
	b := NewBuilder()
	add := func(name string, label int, c datasets.Class, family string) {
		if err := b.Add(name, label, c, family); err != nil {
			t.Fatal(err)
		}
	}
	for i := range n {
		add(fmt.Sprintf("gardenclub%d.co.uk", i), 0, datasets.Benign, "")
		add(fmt.Sprintf("xkqv%dzj.info", i), 1, datasets.DGA, "some")
		add(fmt.Sprintf("shop.steamtrain%d.org", i), 0, datasets.Benign, "")
		add([]string{fmt.Sprintf("0ab??%d.mzxw+yt?boi", i), fmt.Sprintf("mzxw6ytboi%d.t.example.org", i)}[i%2], 1,
			datasets.Tunnel, "tool")
	}
	return b.Set()
}

// The same draw every time, another in another epoch; the asked shares change, of the names that are meant.
func TestNamesOfAnEpoch(t *testing.T) {
	const n = 2000
	set := Portion{Set: mixed(t, n)}
	f := &fit{options: Options{Seed: 1, Invent: 0.4, Augment: 0.3}}
	hosted, invented, moved := 0, map[datasets.Class]int{}, 0
	for p := range uint32(set.Len()) {
		was, is := set.Name(int(p)), f.trainingName(1, set, p)
		if is != f.trainingName(1, set, p) {
			t.Fatalf("name %d: drawn anew", p)
		}
		if is != f.trainingName(2, set, p) {
			moved++
		}
		switch host, found := strings.CutSuffix(is, "."+was); {
		case is == was:
		case found && host != "" && !strings.Contains(host, "."):
			hosted++
		default:
			invented[set.kind(p).class]++
		}
	}
	// 0.2 of all have another name to stand before
	if share := float64(hosted) / (4 * n * 0.8); share < 0.26 || share > 0.34 {
		t.Errorf("%d names have a host, want 30 %%", hosted)
	}
	if invented[datasets.Benign] != 0 || invented[datasets.DGA] < n*32/100 || invented[datasets.DGA] > n*42/100 ||
		invented[datasets.Tunnel] < n*36/100 || invented[datasets.Tunnel] > n*44/100 {
		t.Errorf("invented %v of %d each, want none benign and 40 %%, some of which are the DGA names themselves", invented,
			n)
	}
	if moved < n {
		t.Errorf("only %d of %d differ in the next epoch", moved, 4*n)
	}
	f.options = Options{Seed: 1}
	if f.options.changesNames() || f.trainingName(1, set, 5) != set.Name(5) {
		t.Error("names change without being asked to")
	}
}

// What is made is a name as process-data would store it.
func TestInventedNamesAreNames(t *testing.T) {
	s, rng := mixed(t, 50), rand.New(rand.NewPCG(1, 2))
	seen := map[string]bool{}
	const draws = 20000
	for range draws {
		p := uint32(rng.IntN(s.Len()))
		if s.kind(p).class == datasets.Benign {
			continue
		}
		name := s.invented(rng, p, inventions)
		seen[name] = true
		if was := s.Name(int(p)); s.kind(p).class == datasets.Tunnel && strings.HasSuffix(was, ".example.org") &&
			!strings.HasSuffix(name, ".example.org") {
			t.Fatalf("%q stands for %q, whose zone it left", name, was)
		}
		if normal, err := dnsname.Normalize(name); err != nil || normal != name {
			t.Fatalf("%q: %q, %v", name, normal, err)
		}
	}
	if len(seen) < draws/2*7/10 {
		t.Errorf("only %d names differ", len(seen))
	}
	// A suffix that one name in thousands has is drawn as often as others.
	names, labels := []string{"dyn.ddns.net"}, []int{0}
	for i := range 2000 {
		names, labels = append(names, fmt.Sprintf("%c%d.com", 'a'+i%26, i)), append(labels, i%2)
	}
	rare, found := NewSet(names, labels), 0
	for range 2000 {
		if strings.HasSuffix(rare.invented(rng, 2, inventions), ".ddns.net") {
			found++
		}
	}
	if found < 180 || found > 320 {
		t.Errorf("%d of 2000 under the rare one of two suffixes, want an eighth", found)
	}
	all := NewSet([]string{"a.com", "b.com"}, []int{1, 1}) // no benign name to take words from
	for range 200 {
		if name := all.invented(rng, 0, inventions); name == "" || strings.HasPrefix(name, ".") {
			t.Fatalf("%q", name)
		}
	}
}

// What the blend's epoch takes for a family's names has nothing of their letters.
func TestUnlike(t *testing.T) {
	names, labels := []string{"zzzzzzzzz.ru"}, []int{1}
	for i := range 2000 {
		names, labels = append(names, fmt.Sprintf("%cone%d.com", 'a'+i%26, i)), append(labels, 0)
	}
	s, rng := NewSet(names, labels), rand.New(rand.NewPCG(1, 2))
	of := func(by []invention) (n int) {
		for range 2000 {
			if strings.Contains(s.invented(rng, 0, by), "zzzz") {
				n++
			}
		}
		return n
	}
	if family, none := of(inventions), of(unlike); family < 300 || none > 0 {
		t.Errorf("%d of 2000 have the family's letters where they may, %d where they may not", family, none)
	}
}
