package keras

import (
	"strings"
	"testing"

	"github.com/degas-dns/degas/export/internal/exporttest"
	"github.com/degas-dns/degas/model"
)

// The expected orders are those of model.layers as Keras 3.15.1 and tf-keras 2.21.0 report them for the exported files.
func TestOrder(t *testing.T) {
	cnn, err := model.Preset("cnn")
	if err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		spec model.Spec
		want string
	}{
		{cnn, "domain_ids embedding conv1d conv1d_1 conv1d_2 conv1d_3 global_max_pooling1d global_max_pooling1d_1 " +
			"global_max_pooling1d_2 global_max_pooling1d_3 concatenate dense dropout dense_1"},
		{exporttest.Branches(), "domain_ids embedding max_pooling1d conv1d_1 conv1d_2 conv1d_4 max_pooling1d_1 " +
			"bidirectional_1 bidirectional_2 " +
			"conv1d thresholded_re_lu conv1d_3 flatten dropout thresholded_re_lu_1 lstm_1 global_max_pooling1d " +
			"global_max_pooling1d_1 global_max_pooling1d_2 dense lstm bidirectional dense_1 global_max_pooling1d_3 " +
			"concatenate flatten_1 dense_2 dense_3"},
	} {
		list, err := tc.spec.Graph()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, n := range order(list) {
			got = append(got, n.Name)
		}
		if s := strings.Join(got, " "); s != tc.want {
			t.Errorf("%s:\n%s, want\n%s", tc.spec.Name, s, tc.want)
		}
	}
}

func TestNames(t *testing.T) {
	for in, want := range map[string]string{"degas": "degas", "a/b of c": "a_b_of_c", "1st": "model_1st", "/": "model_",
		"": "model_"} {
		if got := modelName(in); got != want {
			t.Errorf("model %q becomes %q, want %q", in, got, want)
		}
	}
	lstm := model.Node{Name: "bidirectional_1", Kind: model.KindLSTM}
	for _, tc := range []struct {
		node  model.Node
		param string
		want  string
	}{
		{model.Node{Name: "dense_1", Kind: model.KindDense}, "dense_1/kernel", "dense_1/kernel:0"},
		{model.Node{Name: "lstm", Kind: model.KindLSTM}, "lstm/recurrent_kernel", "lstm/lstm_cell/recurrent_kernel:0"},
		{lstm, "bidirectional_1/forward/bias", "bidirectional_1/forward_lstm/lstm_cell/bias:0"},
		{lstm, "bidirectional_1/backward/kernel", "bidirectional_1/backward_lstm/lstm_cell/kernel:0"},
	} {
		if got := weightName(tc.node, tc.param); got != tc.want {
			t.Errorf("%s becomes %s, want %s", tc.param, got, tc.want)
		}
	}
}
