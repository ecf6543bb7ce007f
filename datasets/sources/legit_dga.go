package sources

func init() {
	Register(Source{
		Name:     "legit_dga",
		Title:    "Devo's legit_dga",
		Licence:  "none stated",
		Citation: "Data Driven Security, 2014, as Devo's tutorials use it",
		Homepage: "https://devoinc.github.io/python-mlmodelmanager-client/",
		Good:     "a small benign and DGA table for comparison with Devo's models",
		Rows:     133_900,
		Files: single("dataset.csv",
			"https://devo-ml-models-public-demos.s3.eu-west-3.amazonaws.com/legit_dga/dataset.csv"),
	})
}
