package command

import (
	"fmt"
	"os"

	"tandem/program"
)

type checkCommand struct {
	program.Settings `embed:""`
}

// Run prints everything that is wrong.
func (c *checkCommand) Run(text contract) error {
	spec, err := program.ReadSpec(text)
	if err != nil {
		return err
	}
	wrong := c.Check(spec)
	for _, err := range wrong {
		fmt.Fprintln(os.Stderr, err)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d of the settings are invalid", len(wrong))
	}
	fmt.Println("the settings are valid")
	return nil
}
