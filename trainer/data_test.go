package trainer

import (
	"fmt"
	"reflect"
	"testing"
)

func TestDrawn(t *testing.T) {
	seen := map[int]int{}
	for seed := range uint64(400) {
		draw, n := newDrawing(20, 5, seed), 0
		for row := range 20 {
			if draw.keep() {
				seen[row]++
				n++
			}
		}
		if n != 5 || draw.keep() {
			t.Fatalf("seed %d: %d of 5 rows", seed, n)
		}
	}
	for row := range 20 { // 100 expected, standard deviation 9
		if seen[row] < 60 || seen[row] > 140 {
			t.Errorf("row %d was drawn %d times of 400", row, seen[row])
		}
	}
	for _, limit := range []int{0, 3, 9} {
		draw := newDrawing(3, limit, 1)
		for row := range 3 {
			if !draw.keep() {
				t.Errorf("limit %d of 3 rows: row %d is left out", limit, row)
			}
		}
	}
}

func TestOptionsWith(t *testing.T) {
	o, err := DefaultOptions().With(map[string]any{"batch_size": 64, "weight_decay": 0.5, "schedule": ScheduleCosine})
	want := DefaultOptions()
	want.BatchSize, want.WeightDecay, want.Schedule = 64, 0.5, ScheduleCosine
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v", o, err)
	}
	for _, wrong := range []map[string]any{{"batchsize": 1}, {"epochs": "many"}} {
		if _, err := o.With(wrong); err == nil {
			t.Error(fmt.Sprint(wrong) + ": no error")
		}
	}
}
