package agent

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// Protect makes the kernel refuse other processes of the same user a look into this one: environment, memory, open
// files and ptrace. The agent calls it before it reads anything secret, since the application's Python runs beside it
// under the same uid (design 3).
func Protect() error {
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("protect the agent's memory: %w", err)
	}
	return nil
}
