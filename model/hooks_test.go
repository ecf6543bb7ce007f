package model

// AfterSpec is called between the two files that Load reads.
var AfterSpec = &afterSpec
