// Package runtime holds the Python side of a replica, the package
// bioengine_runtime, as files embedded in the agent. The agent unpacks FS into a
// private folder and runs `python -m bioengine_runtime` there, with one end of a
// socket pair as descriptor 3. Only jobs/agent imports this package.
package runtime

import "embed"

// FS holds the folder bioengine_runtime. The patterns name the files, since a
// pattern that names a folder leaves out __init__.py and __main__.py.
//
//go:embed bioengine_runtime/*.py bioengine_runtime/ray_serve/*.py
var FS embed.FS
