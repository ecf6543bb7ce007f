package models

import (
	"cmp"
	"maps"
	"slices"
)

// State says where a version stands, in TensorFlow Serving's words.
type State string

// States of a version, in the order in which it passes through them.
const (
	Start     State = "START"
	Loading   State = "LOADING"
	Available State = "AVAILABLE"
	Unloading State = "UNLOADING"
	End       State = "END" // it is served no more, or could not be loaded
)

// VersionState is the state of a version.
type VersionState struct {
	Number int
	State  State
	Err    error // why the version could not be loaded, else nil
}

// maxUnserved bounds how many versions that are not served a model remembers.
const maxUnserved = 16

// States are those of the versions of a model that are served, being loaded, or have been removed or could not be
// loaded: the last few of these. They are ascending by number; nil if there is no such model.
func (s *Set) States(name string) []VersionState {
	m := s.find(name)
	if m == nil {
		return nil
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	states := slices.Collect(maps.Values(m.unserved))
	for _, v := range *m.versions.Load() {
		states = append(states, VersionState{Number: v.Number, State: Available})
	}
	slices.SortFunc(states, func(a, b VersionState) int { return cmp.Compare(a.Number, b.Number) })
	return states
}

// Labelled is the number of the version that a label of a model stands for (Source.Labels). The version need not be
// served.
func (s *Set) Labelled(name, label string) (number int, ok bool) {
	if m := s.find(name); m != nil {
		number, ok = m.Labels[label]
	}
	return number, ok
}

// LabelsOf are the labels of a model that stand for a version, sorted.
func (s *Set) LabelsOf(name string, number int) (labels []string) {
	if m := s.find(name); m != nil {
		for label, n := range m.Labels {
			if n == number {
				labels = append(labels, label)
			}
		}
	}
	slices.Sort(labels)
	return labels
}

// note remembers the state of a version that is not served.
func (m *served) note(v VersionState) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.unserved == nil {
		m.unserved = map[int]VersionState{}
	}
	m.unserved[v.Number] = v
	for len(m.unserved) > maxUnserved {
		delete(m.unserved, slices.Min(slices.Collect(maps.Keys(m.unserved))))
	}
}

// swap serves versions, and notes that the others have ended.
func (m *served) swap(versions []*Version) {
	ended := map[int]bool{}
	if before := m.versions.Load(); before != nil {
		for _, v := range *before {
			ended[v.Number] = true
		}
	}
	m.mu.Lock()
	for _, v := range versions {
		delete(m.unserved, v.Number)
		delete(ended, v.Number)
	}
	m.versions.Store(&versions)
	m.mu.Unlock()
	for number := range ended {
		m.note(VersionState{Number: number, State: End})
	}
}

// forget drops versions that could not be loaded, and are not in paths any more.
func (m *served) forget(paths map[int]string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.unserved, func(number int, v VersionState) bool {
		_, there := paths[number]
		return v.Err != nil && !there
	})
}
