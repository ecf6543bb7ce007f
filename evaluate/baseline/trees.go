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
	bagged := fmt.Sprintf("%d golearn trees, %d random names each, on ", forestTrees, forestRows)
	register(Kind{
		Name: "forest, 3 features", Description: bagged + "length, entropy and share of vowels (Devo's features)",
		Train: forestOn(len(devoFeatures))})
	register(Kind{
		Name: "forest, lexical", Description: fmt.Sprintf(
			"%s%d lexical features, two of them how usual its n-grams are in benign names", bagged, len(wideFeatures)),
		Train: forestOn(len(wideFeatures))})
}

const (
	forestTrees = 20
	forestRows  = 4000 // drawn with replacement for each tree: golearn's grids are slow
	leafRows    = 10   // a smaller node is not split
	forestDepth = 16   // splits on a way down, at least, that are allowed
	oneFeature  = 4    // of them by one feature, at least
)

// forest is a random forest (Breiman 2001). Its score is the mean share of malicious training names in the leaves that
// a name falls into.
type forest struct {
	view  *view
	trees [][]node
}

// node of a tree: a leaf has no feature.
type node struct {
	feature   int // -1 in a leaf
	threshold float64
	// share of malicious names, after Laplace: pure leaves of few names are surer than they know, and would all tie.
	share       float64
	below, over int // nodes for values up to the threshold, and above it
}

// Score implements Scorer.
func (f *forest) Score(name string) float64 {
	var room [32]float64
	values := f.view.append(room[:0], name, false)
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

// forestOn trains forests on the first of wideFeatures.
func forestOn(features int) Trainer {
	return func(ctx context.Context, names []string, malicious []bool, seed uint64) (Scorer, error) {
		v := &view{features: features}
		if features > len(lexicalFeatures) {
			v.grams = newGramTable(names, malicious)
		}
		f := &forest{v, make([][]node, forestTrees)}
		group, ctx := errgroup.WithContext(ctx)
		group.SetLimit(runtime.GOMAXPROCS(0))
		for t := range f.trees {
			group.Go(func() (err error) {
				if err = ctx.Err(); err == nil {
					rng := rand.New(rand.NewPCG(seed, uint64(t)))
					f.trees[t], err = newGrower(rng, v, names, malicious).tree(levelsAtOnce)
				}
				return err
			})
		}
		return f, group.Wait()
	}
}

// levelsAtOnce of a tree grow on one grid. Below a split golearn looks at it through a view, which asks the view above
// for every value: deep trees on one grid take many times as long.
const levelsAtOnce = 3

// grower grows a tree on names drawn with replacement.
type grower struct {
	rule      randomRule
	levels    int // on one grid
	features  int
	packed    [][]byte // [rows, features], as golearn takes values
	malicious []bool
	// golearn's trees take an attribute once on each way down, so that every feature is there several times.
	attributes []base.Attribute
	number     map[base.Attribute]int // the feature of an attribute
}

func newGrower(rng *rand.Rand, v *view, names []string, malicious []bool) *grower {
	rows, features := min(forestRows, len(names)), v.features
	g := &grower{features: features, malicious: make([]bool, rows), number: map[base.Attribute]int{}}
	var values []float64
	for r := range rows {
		i := rng.IntN(len(names))
		values = v.append(values[:0], names[i], !malicious[i])
		for _, x := range values {
			g.packed = append(g.packed, base.PackFloatToBytes(x))
		}
		g.malicious[r] = malicious[i]
	}
	for i := range max((forestDepth+features-1)/features, oneFeature) * features {
		a := base.NewFloatAttribute(fmt.Sprintf("%s#%d", wideFeatures[i%features], i/features))
		g.number[a], g.attributes = i%features, append(g.attributes, a)
	}
	class := new(base.CategoricalAttribute)
	class.SetName("malicious")
	g.rule = randomRule{seed: rng.Uint64(), choose: int(math.Ceil(math.Sqrt(float64(features)))), class: class}
	return g
}

// tree grows with so many levels on a grid, which makes no difference to the tree.
func (g *grower) tree(levels int) ([]node, error) {
	g.levels = levels
	rows := make([]int, len(g.malicious))
	for i := range rows {
		rows[i] = i
	}
	return g.grow(nil, rows, g.attributes)
}

// grow appends the tree for some of the drawn rows and the attributes that are left for it.
func (g *grower) grow(out []node, rows []int, attributes []base.Attribute) ([]node, error) {
	grid, err := g.grid(rows, attributes)
	if err != nil {
		return nil, fmt.Errorf("prepare names for golearn: %w", err)
	}
	rule := g.rule
	columns, _ := grid.Size()
	rule.columns = columns - g.levels
	tree := trees.NewID3DecisionTreeFromRule(0, &rule)
	if err := tree.Fit(grid); err != nil {
		return nil, fmt.Errorf("grow a tree: %w", err)
	}
	return g.flatten(out, tree.Root, rows, attributes, g.levels)
}

// grid is the rows as golearn takes them.
func (g *grower) grid(rows []int, attributes []base.Attribute) (*base.DenseInstances, error) {
	grid := base.NewDenseInstances()
	specs, number := make([]base.AttributeSpec, len(attributes)), make([]int, len(attributes))
	for i, a := range attributes {
		specs[i], number[i] = grid.AddAttribute(a), g.number[a]
	}
	class := grid.AddAttribute(g.rule.class)
	if err := grid.AddClassAttribute(g.rule.class); err != nil {
		return nil, err
	}
	if err := grid.Extend(len(rows)); err != nil {
		return nil, err
	}
	for i, r := range rows {
		for k := range attributes {
			grid.Set(specs[k], i, g.packed[r*g.features+number[k]])
		}
		grid.Set(class, i, g.rule.class.GetSysValFromString(classText[toInt(g.malicious[r])]))
	}
	return grid, nil
}

// flatten appends n and what is below it; what is levels further down was not split yet and grows on a grid of its own.
func (g *grower) flatten(
	out []node, n *trees.DecisionTreeNode, rows []int, attributes []base.Attribute, levels int,
) (_ []node, err error) {
	if levels == 0 && len(n.ClassDist) > 1 && len(rows) >= leafRows && len(attributes) > 1 {
		return g.grow(out, rows, attributes)
	}
	at, total := len(out), 0
	for _, c := range n.ClassDist {
		total += c
	}
	out = append(out, node{feature: -1, share: float64(n.ClassDist[classText[1]]+1) / float64(total+2)})
	below, over := n.Children["0"], n.Children["1"]
	if below == nil || over == nil {
		return out, nil
	}
	feature, threshold := g.number[n.SplitRule.SplitAttr], n.SplitRule.SplitVal
	left := slices.DeleteFunc(slices.Clone(attributes), func(a base.Attribute) bool { return a == n.SplitRule.SplitAttr })
	var low, high []int
	for _, r := range rows {
		if base.UnpackBytesToFloat(g.packed[r*g.features+feature]) > threshold {
			high = append(high, r)
		} else {
			low = append(low, r)
		}
	}
	out[at].feature, out[at].threshold, out[at].below = feature, threshold, len(out)
	if out, err = g.flatten(out, below, low, left, levels-1); err != nil {
		return nil, err
	}
	out[at].over = len(out)
	return g.flatten(out, over, high, left, levels-1)
}

// classText are golearn's names of the classes.
var classText = [2]string{"benign", "malicious"}

// randomRule splits a node by the best of a few features drawn for it, where anything is gained. golearn's own
// RandomTree cannot be seeded, and its gain depends in the last digit on the order of a map.
type randomRule struct {
	seed    uint64
	choose  int
	class   base.Attribute
	columns int // of a grid that is not split, or fewer: golearn takes one away at each split
}

// GenerateSplitRule implements trees.RuleGenerator. The draw depends on what the node holds, not on when it is reached:
// golearn visits children in no fixed order.
func (r *randomRule) GenerateSplitRule(f base.FixedDataGrid) *trees.DecisionTreeRule {
	columns, rows := f.Size()
	if rows < leafRows || columns <= r.columns {
		return nil
	}
	all := base.AttributeDifferenceReferences(f.AllAttributes(), f.AllClassAttributes())
	positives := 0
	for _, l := range r.labelled(f, all[0]) {
		positives += toInt(l.malicious)
	}
	rng := rand.New(rand.NewPCG(r.seed, uint64(rows)<<32|uint64(positives)))
	// golearn's order varies.
	slices.SortFunc(all, func(a, b base.Attribute) int { return strings.Compare(a.GetName(), b.GetName()) })
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

// labelled reads a feature of all names. golearn's GetClassDistribution looks for the class anew at every name.
func (r *randomRule) labelled(f base.FixedDataGrid, a base.Attribute) (out []labelled) {
	bad := r.class.GetSysValFromString(classText[1])
	specs := base.ResolveAttributes(f, []base.Attribute{a, r.class})
	_ = f.MapOverRows(specs, func(row [][]byte, _ int) (bool, error) { // fails only where the function does
		out = append(out, labelled{base.UnpackBytesToFloat(row[0]), bytes.Equal(row[1], bad)})
		return true, nil
	})
	return out
}

// split finds the threshold of one feature that leaves the least impurity.
func (r *randomRule) split(f base.FixedDataGrid, a base.Attribute, rows, positives int) (at, left float64, ok bool) {
	list := r.labelled(f, a)
	slices.SortFunc(list, func(a, b labelled) int { return cmp.Compare(a.value, b.value) })
	left = math.Inf(1)
	below := 0 // malicious names so far
	for i := range len(list) - 1 {
		below += toInt(list[i].malicious)
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
