package baseline

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"

	"github.com/sjwhitworth/golearn/base"
	"github.com/sjwhitworth/golearn/trees"
	"golang.org/x/sync/errgroup"
)

func init() {
	Register(Kind{Name: "forest, 3 features", Description: "golearn's trees, bagged, on length, entropy and share of vowels (Devo's features)",
		Train: func(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error) {
			return trainForest(ctx, len(devoFeatures), names, malicious, seed)
		}})
	Register(Kind{Name: "forest, lexical", Description: "golearn's trees, bagged, on 16 lexical features",
		Train: func(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error) {
			return trainForest(ctx, len(lexicalFeatures), names, malicious, seed)
		}})
}

const (
	forestTrees = 20
	forestRows  = 4000 // drawn with replacement for each tree: golearn's grids are slow
	leafRows    = 10   // a smaller node is not split
	forestDepth = 16   // splits on a way down, at least, that are allowed
	oneFeature  = 4    // of them by one feature, at least
)

// forest is a random forest (Breiman 2001): trees on bootstrap samples that choose among random features at each node. Its
// score is the mean share of malicious training names in the leaves that a name falls into.
type forest struct {
	features int // the first so many
	trees    [][]node
}

// node of a tree: a leaf has no feature.
type node struct {
	feature     int // -1 in a leaf
	threshold   float64
	share       float64 // of malicious names, after Laplace: pure leaves of few names are surer than they know, and would all tie
	below, over int     // nodes for values up to the threshold, and above it
}

// Score implements Scorer.
func (f *forest) Score(name string) float64 {
	var room [32]float64
	values := appendFeatures(room[:0], name)
	var sum float64
	for _, t := range f.trees {
		n := &t[0]
		for n.feature >= 0 {
			if values[n.feature] > n.threshold {
				n = &t[n.over]
			} else {
				n = &t[n.below]
			}
		}
		sum += n.share
	}
	return sum / float64(len(f.trees))
}

func trainForest(ctx context.Context, features int, names []string, malicious []bool, seed uint64) (Scorer, error) {
	f := &forest{features: features, trees: make([][]node, forestTrees)}
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for t := range f.trees {
		group.Go(func() (err error) {
			if err = ctx.Err(); err == nil {
				f.trees[t], err = trainTree(rand.New(rand.NewPCG(seed, uint64(t))), features, names, malicious)
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return f, nil
}

func trainTree(rng *rand.Rand, features int, names []string, malicious []bool) ([]node, error) {
	grid, number, err := sampled(rng, features, names, malicious)
	if err != nil {
		return nil, err
	}
	choose := int(math.Ceil(math.Sqrt(float64(features))))
	tree := trees.NewID3DecisionTreeFromRule(0, &randomRule{rng.Uint64(), choose, grid.AllClassAttributes()[0]})
	if err := tree.Fit(grid); err != nil {
		return nil, err
	}
	return flatten(nil, tree.Root, number), nil
}

// sampled is a bootstrap sample as golearn's grid, and the feature that each of its attributes is. golearn's trees take an
// attribute once on each way down, so that every feature is there several times.
func sampled(rng *rand.Rand, features int, names []string, malicious []bool) (_ *base.DenseInstances, number map[string]int, err error) {
	grid, number := base.NewDenseInstances(), map[string]int{}
	var specs []base.AttributeSpec
	for i := range max((forestDepth+features-1)/features, oneFeature) * features {
		a := base.NewFloatAttribute(fmt.Sprintf("%s#%d", lexicalFeatures[i%features], i/features))
		number[a.GetName()], specs = i%features, append(specs, grid.AddAttribute(a))
	}
	class := new(base.CategoricalAttribute)
	class.SetName("malicious")
	classSpec := grid.AddAttribute(class)
	if err := grid.AddClassAttribute(class); err != nil {
		return nil, nil, fmt.Errorf("prepare names for golearn: %w", err)
	}
	rows := min(forestRows, len(names))
	if err := grid.Extend(rows); err != nil {
		return nil, nil, fmt.Errorf("prepare names for golearn: %w", err)
	}
	var values []float64
	for r := range rows {
		i := rng.IntN(len(names))
		values = appendFeatures(values[:0], names[i])
		for k, s := range specs {
			grid.Set(s, r, base.PackFloatToBytes(values[k%features]))
		}
		grid.Set(classSpec, r, class.GetSysValFromString(classText[one(malicious[i])]))
	}
	return grid, number, nil
}

// classText are golearn's names of the classes.
var classText = [2]string{"benign", "malicious"}

// randomRule splits a node by the best of a few features drawn for it, where anything is gained. golearn's own RandomTree
// draws from a generator that cannot be seeded, and its gain depends in the last digit on the order of a map.
type randomRule struct {
	seed   uint64
	choose int
	class  base.Attribute
}

// GenerateSplitRule implements trees.RuleGenerator. The draw depends on what the node holds, not on when it is reached:
// golearn visits children in no fixed order.
func (r *randomRule) GenerateSplitRule(f base.FixedDataGrid) *trees.DecisionTreeRule {
	_, rows := f.Size()
	if rows < leafRows {
		return nil
	}
	positives := base.GetClassDistribution(f)[classText[1]]
	rng := rand.New(rand.NewPCG(r.seed, uint64(rows)<<32|uint64(positives)))
	all := base.AttributeDifferenceReferences(f.AllAttributes(), f.AllClassAttributes())
	slices.SortFunc(all, func(a, b base.Attribute) int { return strings.Compare(a.GetName(), b.GetName()) }) // golearn's order varies
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	var rule *trees.DecisionTreeRule
	least := impurity(positives, rows) - 1e-9 // what is not below it gains nothing
	tried := map[string]bool{}
	for _, a := range all {
		if len(tried) == r.choose {
			break
		}
		feature, _, _ := strings.Cut(a.GetName(), "#")
		if tried[feature] {
			continue
		}
		tried[feature] = true
		if at, left, ok := r.split(f, a, rows, positives); ok && left < least {
			least, rule = left, &trees.DecisionTreeRule{SplitAttr: a, SplitVal: at}
		}
	}
	return rule
}

// labelled is a feature's value and whether the name is malicious.
type labelled struct {
	value     float64
	malicious bool
}

// split finds the threshold of one feature that leaves the least impurity.
func (r *randomRule) split(f base.FixedDataGrid, a base.Attribute, rows, positives int) (at, left float64, ok bool) {
	specs := base.ResolveAttributes(f, []base.Attribute{a, r.class})
	bad := r.class.GetSysValFromString(classText[1])
	list := make([]labelled, 0, rows)
	_ = f.MapOverRows(specs, func(row [][]byte, _ int) (bool, error) { // fails only where the function does
		list = append(list, labelled{base.UnpackBytesToFloat(row[0]), bytes.Equal(row[1], bad)})
		return true, nil
	})
	slices.SortFunc(list, func(a, b labelled) int { return cmp.Compare(a.value, b.value) })
	left = math.Inf(1)
	below := 0 // malicious names so far
	for i := range len(list) - 1 {
		below += one(list[i].malicious)
		if list[i].value == list[i+1].value {
			continue
		}
		if v := impurity(below, i+1) + impurity(positives-below, rows-i-1); v < left {
			at, left, ok = (list[i].value+list[i+1].value)/2, v, true
		}
	}
	return at, left, ok
}

// impurity is the entropy of a node in bits, times its names.
func impurity(positives, names int) float64 {
	if positives == 0 || positives == names {
		return 0
	}
	p := float64(positives) / float64(names)
	return -float64(names) * (p*math.Log2(p) + (1-p)*math.Log2(1-p))
}

// flatten appends n and what is below it.
func flatten(out []node, n *trees.DecisionTreeNode, number map[string]int) []node {
	at, total := len(out), 0
	for _, c := range n.ClassDist {
		total += c
	}
	out = append(out, node{feature: -1, share: float64(n.ClassDist[classText[1]]+1) / float64(total+2)})
	below, over := n.Children["0"], n.Children["1"]
	if below == nil || over == nil {
		return out
	}
	out[at].feature, out[at].threshold = number[n.SplitRule.SplitAttr.GetName()], n.SplitRule.SplitVal
	out[at].below = len(out)
	out = flatten(out, below, number)
	out[at].over = len(out)
	return flatten(out, over, number)
}
