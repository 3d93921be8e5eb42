package scheduler

import "strings"

// hints tells what to do about Slurm's well-known refusals. The first one whose
// text occurs is taken. Texts: slurm_errno.c of Slurm 22.05 to 26.05.
var hints = []struct{ text, hint string }{
	{"Invalid partition name", "name a partition that `sinfo` lists, or leave it out for the site's default"},
	{"Invalid account or account/partition", "name an account that `sacctmgr show associations user=$USER` lists for this partition"},
	{"Invalid qos", "name a QoS that `sacctmgr show associations user=$USER format=account,qos` lists"},
	{"Invalid feature", "the constraint names a feature no node has; `sinfo -o '%P %f'` lists them"},
	{"Requested node configuration is not available", "no node offers that many CPUs, that much memory or those GPUs together; compare with `sinfo -o '%P %c %m %G'`"},
	{"Invalid generic resource", "this GPU type is not known here; `sinfo -o '%P %G'` lists the GPUs"},
	{"Invalid Trackable RESource", "this GPU type is not known here; `sinfo -o '%P %G'` lists the GPUs"},
	{"Memory specification can not be satisfied", "ask for less memory; `sinfo -o '%P %m'` shows what nodes have, in MiB"},
	{"CPU count per node can not be satisfied", "ask for fewer CPUs; `sinfo -o '%P %c'` shows what nodes have"},
	{"More processors requested than permitted", "ask for fewer CPUs; `sinfo -o '%P %c'` shows what nodes have"},
	{"Requested time limit is invalid", "the time limit is missing or above the partition's; `sinfo -o '%P %l'` shows it"},
	{"Requested reservation is invalid", "name a reservation that `scontrol show reservation` lists and that you may use"},
	{"Access denied to requested reservation", "name a reservation that `scontrol show reservation` lists and that you may use"},
	{"Job violates accounting/QOS policy", "a limit of the account or QoS is reached; `sacctmgr show qos` and `sshare` show the limits"},
	{"User's group not permitted to use this partition", "this partition is closed to your groups; choose another one"},
	{"Required partition not available", "the partition is down or draining; `sinfo` shows its state"},
	{"Job submit/allocate failed", "the site's submit filter turned the job down; its text, if any, says why"},
	{"Invalid user id", "Slurm does not know this user on its controller; ask the site"},
	{"Invalid job credential", "munge or its key differs between hosts; ask the site"},
	{"Protocol authentication error", "munge does not answer on this host or its key differs; ask the site"},
	{"Unable to contact slurm controller", "slurmctld does not answer; running jobs go on, try again later"},
	{"Slurm backup controller in standby", "slurmctld is changing over to its backup; try again later"},
	{"Socket timed out", "slurmctld is overloaded; try again later"},
	{"Zero Bytes were transmitted", "slurmctld is overloaded or restarting; try again later"},
	{"Could not establish a configuration source", "Slurm's configuration was not found; set SLURM_CONF or run on a login node"},
}

// HintFor gives the advice for a text of the batch system, or "".
func HintFor(text string) string {
	for _, h := range hints {
		if strings.Contains(text, h.text) {
			return h.hint
		}
	}
	return ""
}
