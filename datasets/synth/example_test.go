package synth_test

import (
	"fmt"
	"time"

	"github.com/degas-dns/degas/datasets/synth"
)

func ExampleLookup() {
	f, err := synth.Lookup("ramnit")
	if err != nil {
		fmt.Println(err)
		return
	}
	names, err := f.Generate(synth.Params{Seed: 0x79159c10, Count: 3})
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range names {
		fmt.Println(name)
	}
	// Output:
	// knpqxlxcwtlvgrdyhd.com
	// nvlyffua.com
	// hgyudheedieibxy.com
}

func ExampleFamily() {
	f, _ := synth.Lookup("newgoz")
	names, _ := f.Generate(synth.Params{Date: time.Date(2015, 8, 31, 0, 0, 0, 0, time.UTC), Count: 2})
	fmt.Println(f.Class, names)
	// Output: dga [xzz3ug32bale1uo60y7xj6rge.com 1hyzmw3l2phycet88hzr2do34.net]
}

func ExampleFamilies() {
	for _, f := range synth.Families() {
		if f.Class == synth.ClassTunnel {
			fmt.Println(f.Name, f.Variants)
		}
	}
	// Output:
	// dns2tcp [base64 lower]
	// dnscapy []
	// dnscat2 [encrypted plain]
	// iodine [base128 base32 base64 base64u]
	// ozymandns []
	// tuns []
}

func ExampleSample() {
	rows, err := synth.Sample(synth.SampleOptions{Seed: 1, Benign: 50, DGA: 40, Tunnel: 10})
	if err != nil {
		fmt.Println(err)
		return
	}
	count := map[string]int{}
	for _, r := range rows {
		count[r.Class]++
	}
	fmt.Println(count)
	// Output: map[benign:50 dga:40 tunnel:10]
}
