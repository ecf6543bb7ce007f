package main

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/trainer"
)

// resumedRun is the request that --resume asks for: the run's own, but for the number of epochs, the patience and
// the folder of the data, where they are given. Another flag may only repeat what the run has.
func resumedRun(ctx *cli.Context) (trainer.Request, error) {
	none := trainer.Request{}
	dir, err := runDir(ctx.String("runs"), ctx.String("run"), "", true)
	if err != nil {
		return none, err
	}
	cfg, err := trainer.ReadConfig(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return none, fmt.Errorf("resume %s: no %s there. Try: degas train-model --run %s without --resume",
			dir, trainer.ConfigFile, filepath.Base(dir))
	} else if err != nil {
		return none, err
	}
	for flag, own := range map[string]string{"target": cfg.Target, "from": cfg.From} {
		if given := ctx.String(flag); ctx.IsSet(flag) && given != own {
			return none, keepsOwn(dir, flag, own)
		}
	}
	if engine := ctx.String("engine"); ctx.IsSet("engine") && engine != trainer.EngineAuto && engine != cfg.Engine {
		return none, keepsOwn(dir, "engine", cfg.Engine)
	}
	if ctx.IsSet("arch") {
		if err := sameArch(ctx.String("arch"), dir, cfg); err != nil {
			return none, err
		}
	}
	o, err := givenOptions(ctx, cfg.Options)
	if err != nil {
		return none, err
	}
	if err := o.Resolve(); err != nil {
		return none, usageError{err}
	}
	kept := cfg.Options
	if err := kept.Resolve(); err != nil { // an earlier version's lack some
		return none, fmt.Errorf("resume %s: %w", dir, err)
	}
	kept.Epochs, kept.Patience = o.Epochs, o.Patience
	if o != kept {
		return none, usagef("a resumed run keeps its recipe, which is in %s: only --epochs and --patience may change",
			filepath.Join(dir, trainer.ConfigFile))
	}
	cfg.Options, cfg.Data = kept, argument(ctx, 0, cfg.Data)
	return trainer.Request{Dir: dir, Config: *cfg, Resume: true}, nil
}

func keepsOwn(dir, flag, own string) error {
	return usagef("--%s: the run %s has its own, %q, and keeps it when it is resumed", flag, dir, own)
}

// sameArch makes sure that --arch says what the run in dir is.
func sameArch(arch, dir string, cfg *trainer.Config) error {
	r := trainer.Request{Config: *cfg}
	if strings.HasSuffix(arch, ".json") {
		given, err := model.ReadSpec(arch)
		if err != nil {
			return err
		}
		r.Spec = given
	} else {
		r.Config.Arch, _ = trainer.Recipe(arch, cfg.Target)
	}
	if !r.Continues(cfg) {
		return keepsOwn(dir, "arch", cfg.Arch)
	}
	return nil
}
