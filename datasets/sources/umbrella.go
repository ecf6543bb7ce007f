package sources

func init() {
	Register(Source{
		Name:     "umbrella",
		Title:    "Cisco Umbrella top 1 M",
		Licence:  "free to use, no warranty",
		Citation: "Cisco Umbrella Popularity List",
		Homepage: "https://umbrella-static.s3-us-west-1.amazonaws.com/index.html",
		Good:     "benign host names as resolvers see them",
		Rows:     1_000_000,
		Files: single("top-1m.csv.zip", "https://umbrella-static.s3-us-west-1.amazonaws.com/top-1m.csv.zip",
			"http://s3-us-west-1.amazonaws.com/umbrella-static/top-1m.csv.zip"),
	})
}
