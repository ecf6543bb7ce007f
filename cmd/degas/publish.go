package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/export/publish"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
)

// tokenEnv has publish-model's token.
const tokenEnv = "DEGAS_PUBLISH_TOKEN"

// tokenFlag is for the environment alone: what is on a command line shows in lists of processes.
var tokenFlag = &cli.StringFlag{Name: "token", EnvVars: []string{tokenEnv}, Hidden: true,
	Usage: "see the environment variable"}

// tokenOf is the token in the file of --token-file, or in the environment.
func tokenOf(ctx *cli.Context) (string, error) {
	path := ctx.String("token-file")
	if path == "" {
		return ctx.String("token"), nil
	}
	data, err := userfile.Read(path, userfile.Text)
	if err != nil {
		return "", fmt.Errorf("read the token: %w", err)
	}
	return strings.TrimSpace(string(data)), nil
}

func (c *command) publish() *cli.Command {
	return &cli.Command{
		Name:      "publish-model",
		Usage:     "bring an exported version to a model store, a bucket, an HTTP server, Devo or MLflow",
		ArgsUsage: "DIR",
		Description: "DIR is a version directory of export-model; its checksums are checked first. --to is one of\n\n" +
			"   /srv/models, file:///srv/models     a TensorFlow Serving store: NAME/VERSION appears whole or not at all\n" +
			"   s3://bucket/models, gs://…          the same in object storage: SHA256SUMS comes last\n" +
			"   https://host/models                 PUT of every file below NAME/VERSION, SHA256SUMS last\n" +
			"   devo+https://host/mlmodelmanager/   upload of model.onnx, and the model that uses it\n" +
			"   mlflow+https://host                 a run with all files, and a version of the registered model NAME\n\n" +
			"The token is read from --token-file or from the environment, so that it shows in no list of processes.\n" +
			"MLflow's own variables work as well: MLFLOW_TRACKING_TOKEN, or MLFLOW_TRACKING_USERNAME and\n" +
			"MLFLOW_TRACKING_PASSWORD. MLflow numbers versions itself. Files that it has already are not uploaded again.\n\n" +
			"Example: degas publish-model models/degas/2 --to /srv/models --keep 3",
		Flags: []cli.Flag{
			&cli.StringFlag{Name: "to", Usage: "`TARGET`: a folder, or a URL"},
			&cli.StringFlag{Name: "name", Usage: "the model's `NAME` (the directory's, above its number)"},
			&cli.IntFlag{Name: "version", Usage: "`N` (the directory's name, or the next free in a store)"},
			&cli.BoolFlag{Name: "shadow",
				Usage: "make it a candidate of a store, NAME/shadow/N: degas serve compares it, and it decides nothing"},
			&cli.IntFlag{Name: "keep", Usage: "keep the newest `N` versions of a store, remove older ones"},
			&cli.BoolFlag{Name: "force", Usage: "replace what is there already"},
			&cli.StringFlag{Name: "auth", Value: "standalone", Usage: "how Devo gets the token: standalone or bearer"},
			&cli.StringFlag{Name: "description", Usage: "the model's description at Devo and MLflow"},
			&cli.StringFlag{Name: "experiment", Usage: "MLflow's experiment for the run (degas)"},
			&cli.StringFlag{Name: "alias", Usage: "what MLflow calls this version besides, such as champion"},
			&cli.StringFlag{Name: "domain", Usage: "Devo's domain, for servers before 2.4.0"},
			tokenFlag,
			&cli.StringFlag{Name: "token-file", Usage: "`FILE` with the token"},
			jsonFlag,
		},
		Action: action(1, 1, c.publishAction),
	}
}

func (c *command) publishAction(ctx *cli.Context) error {
	if ctx.String("to") == "" {
		return usagef("publish-model: --to TARGET is missing. Try: --to /srv/models")
	}
	if ctx.Args().First() == model.BuiltinName {
		return usagef("publish-model: the built-in model has no directory yet. " +
			"Try: degas export-model --to models/degas/1, and then degas publish-model models/degas/1")
	}
	if ctx.Int("version") < 0 || ctx.Int("keep") < 0 {
		return usagef("publish-model: --version and --keep are numbers from 1 on")
	}
	token, err := tokenOf(ctx)
	if err != nil {
		return fmt.Errorf("publish-model: %w", err)
	}
	r, err := publish.Publish(ctx.Context, ctx.Args().First(), ctx.String("to"), publish.Options{
		Name: ctx.String("name"), Version: ctx.Int("version"), Keep: ctx.Int("keep"), Force: ctx.Bool("force"),
		Shadow: ctx.Bool("shadow"), Token: token, Auth: ctx.String("auth"),
		Description: ctx.String("description"), Domain: ctx.String("domain"),
		Experiment: ctx.String("experiment"), Alias: ctx.String("alias"),
	})
	if err != nil {
		return err
	}
	if ctx.Bool("json") {
		return c.printJSON(r)
	}
	if r.Existed {
		printable.Fprintf(c.out, "%s\tis there already\n", r.URL)
		return nil
	}
	printable.Fprintf(c.out, "%s\t%d files\t%d bytes\n", r.URL, r.Files, r.Bytes)
	for _, v := range r.Removed {
		printable.Fprintf(c.out, "removed\t%s\n", v)
	}
	return nil
}
