package console

func (c *Console) overview(v *visit) (*view, error) {
	return &view{page: "overview", title: "Overview"}, nil
}
