# Conditional data leaves Shenzhen in office hours only; what comes outside them
# waits. The input does not tell working days: a layer knows the weekday and the
# clock at Asia/Shanghai, which is UTC+8 without summer time.
package gxbus.division.d440300

hold contains {
	"code": "outside-office-hours",
	"zh": "本市有条件共享数据仅在周一至周五 8:30–17:30 送出；数据已暂存，届时自动送出。",
	"en": "Conditional data leaves this city from Monday to Friday, 8:30 to 17:30; it waits and is sent then.",
} if {
	input.action == "forward"
	"440300" in input.provider.divisions
	input.resource.sharing.type == "conditional"
	not office_hours
}

local := time.parse_rfc3339_ns(input.time) + ((8 * 3600) * 1000000000)

office_hours if {
	time.weekday(local) in {"Monday", "Tuesday", "Wednesday", "Thursday", "Friday"}
	[hour, minute, _] := time.clock(local)
	minutes := (hour * 60) + minute
	minutes >= (8 * 60) + 30
	minutes < (17 * 60) + 30
}
