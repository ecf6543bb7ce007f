package datasets

// Evidence says what the labels of an input rest on.
type Evidence struct {
	// Names says where the names are: "column domain", "lines".
	Names string `json:"names"`
	// Class says what tells the class: "column label", "folder dga", "file name", "format", "sidecar".
	Class string `json:"class"`
	// Family says what tells the family, "" if nothing does.
	Family string `json:"family,omitempty"`
	// Columns are the columns of a table that are used, by role (name, class, family): headers, or numbers from 1.
	Columns map[string]string `json:"columns,omitempty"`
	// Values are the values of the class column, the most frequent first.
	Values []LabelValue `json:"values,omitempty"`
	// Guess says why the labels are not certain; "" if they are.
	Guess string `json:"guess,omitempty"`
}

// LabelValue is a value of a class column.
type LabelValue struct {
	Value string `json:"value"`
	// Class is what it was read as.
	Class string `json:"class"`
	Rows  int64  `json:"rows"`
}
