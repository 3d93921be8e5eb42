package scheduler

import (
	"fmt"
	"os"
	"path/filepath"
)

// CheckFolders says whether the folders a Spec names exist on this machine: nil,
// or an *Error of kind Refused. Slurm would not: it runs a job without its working
// directory somewhere else, and one without the folder of its output file dies
// silently.
func CheckFolders(spec Spec) error {
	for what, dir := range map[string]string{
		"working directory":         spec.WorkDir,
		"folder of the output file": filepath.Dir(spec.Output),
	} {
		info, err := os.Stat(dir)
		if err == nil && !info.IsDir() {
			err = fmt.Errorf("%s is not a folder", dir)
		}
		if err != nil {
			return &Error{Kind: Refused, Op: "submit job " + spec.printableName(), Err: err,
				Text: fmt.Sprintf("the %s: %v", what, err), Hint: "make the folder before the job is submitted"}
		}
	}
	return nil
}
