package model_test

import (
	"testing"

	"github.com/degas-dns/degas/model"
)

// The expected paddings are TensorFlow's: total = max(0, (ceil(n/p)-1)·p + p - n), the smaller half in front.
func TestPoolPadding(t *testing.T) {
	for _, tc := range []struct{ length, pool, before, after int }{
		{75, 2, 0, 1}, {76, 2, 0, 0}, {10, 3, 1, 1}, {11, 3, 0, 1}, {12, 3, 0, 0},
		{9, 5, 0, 1}, {6, 5, 2, 2}, {7, 5, 1, 2}, {3, 1, 0, 0}, {2, 5, 1, 2},
	} {
		if before, after := model.PoolPadding(tc.length, tc.pool); before != tc.before || after != tc.after {
			t.Errorf("%d steps in pools of %d: %d, %d, want %d, %d",
				tc.length, tc.pool, before, after, tc.before, tc.after)
		}
	}
}
