package diskspace

import "golang.org/x/sys/windows"

func free(path string) (int64, bool) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return 0, false
	}
	var mine, total, all uint64
	if err := windows.GetDiskFreeSpaceEx(name, &mine, &total, &all); err != nil {
		return 0, false
	}
	return int64(min(mine, 1<<62)), true
}
