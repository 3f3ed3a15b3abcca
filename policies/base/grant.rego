# Conditional sharing: which uses need a grant, and whether this one has it.
package gxbus.base

# A replica older than this many seconds may not know of a revocation.
lease_seconds := 300

conditional if input.resource.sharing.type == "conditional"

needs_grant if {
	across_departments
	conditional
}

# A conditional item of an unconditional resource, asked for by name.
needs_grant if {
	across_departments
	count(requested_items & conditional_items) > 0
}

# Whoever presents a grant for conditional items relies on it.
needs_grant if {
	across_departments
	input.grant
	count(conditional_items) > 0
}

# The range of a grant (使用范围): rows about another division do not pass, where an
# item tells what division a row is about.
rows contains {"item": item.id, "within": [input.grant.division]} if {
	needs_grant
	input.grant.division
	some item in input.resource.items
	item.semantic == "division"
}

range_kept if not input.grant.division

range_kept if {
	some item in input.resource.items
	item.semantic == "division"
}

# Where no item tells, a resource is about its provider's division as a whole.
range_kept if input.grant.division in input.provider.divisions

grant_matches if {
	input.grant.resource == input.resource.id
	input.grant.consumer == input.consumer.department
}

# Instants have a fixed width, so they compare as strings.
grant_begun if input.time >= input.grant.not_before

grant_runs if input.time < input.grant.not_after

grant_stands if input.grant.revoked == false

grant_in_force if input.grant.suspended == false

purpose_granted if input.purpose in input.grant.purposes

matter_granted if count(object.get(input.grant, "matters", [])) == 0

matter_granted if input.matter in input.grant.matters

# The way of sharing (共享方式) that was consented to.
mode_granted if input.grant.mode == modes[input.action]

modes := {"query": "interface", "subscribe": "batch", "forward": "batch", "deliver": "batch"}

purpose_stated if input.purpose != ""

purpose_published if input.purpose in input.resource.sharing.purposes

# An unconditional resource need not list purposes.
purpose_published if {
	not conditional
	count(object.get(input.resource.sharing, "purposes", [])) == 0
}

fresh if {
	input.directory.age_seconds >= 0
	input.directory.age_seconds <= lease_seconds
}

deny contains {
	"code": "purpose-missing",
	"zh": "未说明使用用途；请填写行政依据、工作参考、数据校核或业务协同之一。",
	"en": "No purpose was stated; state administrative-basis, reference, verification or collaboration.",
} if {
	across_departments
	not purpose_stated
}

deny contains {
	"code": "purpose-outside-resource",
	"zh": "该用途不在资源公布的使用用途之内；请改用公布的用途，或请提供部门变更目录。",
	"en": "The resource is not shared for this purpose; use one it lists, or ask its provider to change the directory entry.",
} if {
	across_departments
	not purpose_published
}

deny contains {
	"code": "grant-missing",
	"zh": "有条件共享需要授权；请先提出共享申请，取得授权后再使用。",
	"en": "Conditional sharing needs a grant; apply for this resource and use it once the grant is given.",
} if {
	needs_grant
	not input.grant
}

deny contains {
	"code": "grant-mismatch",
	"zh": "该授权属于其他资源或其他部门；请使用本部门对该资源的授权。",
	"en": "This grant is for another resource or another department; use your department's grant for this resource.",
} if {
	needs_grant
	input.grant
	not grant_matches
}

deny contains {
	"code": "grant-revoked",
	"zh": "授权已被撤销；请查看撤销原因，需要时重新申请。",
	"en": "The grant has been revoked; read the reason given and apply again if you still need the data.",
} if {
	needs_grant
	input.grant
	not grant_stands
}

deny contains {
	"code": "grant-suspended",
	"zh": "授权已暂停，数据暂存不送出；请查看暂停原因，等待恢复、确认或者终止。",
	"en": "The grant is suspended and its data is held; read why, and wait until it is resumed, confirmed or ended.",
} if {
	needs_grant
	input.grant
	not grant_in_force
}

deny contains {
	"code": "grant-not-yet-valid",
	"zh": "授权尚未生效；请在生效时间之后再试。",
	"en": "The grant is not valid yet; try again once it begins.",
} if {
	needs_grant
	input.grant
	not grant_begun
}

deny contains {
	"code": "grant-expired",
	"zh": "授权已到期；请申请延期或重新申请。",
	"en": "The grant has expired; apply for an extension or a new grant.",
} if {
	needs_grant
	input.grant
	not grant_runs
}

deny contains {
	"code": "purpose-outside-grant",
	"zh": "该用途不在授权范围之内；请按授权的用途使用，或重新申请。",
	"en": "The grant does not cover this purpose; use the data as granted, or apply for this purpose.",
} if {
	needs_grant
	input.grant
	not purpose_granted
}

deny contains {
	"code": "matter-outside-grant",
	"zh": "该办理事项不在授权范围之内；请填写授权的事项编码，或重新申请。",
	"en": "The grant does not cover this matter; state a matter code it lists, or apply for this one.",
} if {
	needs_grant
	input.grant
	not matter_granted
}

deny contains {
	"code": "mode-outside-grant",
	"zh": "该共享方式不在授权之内；请按授权的共享方式（服务接口或批量交换）使用，或就此方式重新申请。",
	"en": "The grant was given for another way of sharing; use the one it names (interface or batch), or apply for this one.",
} if {
	needs_grant
	input.grant.mode != "" # an older agreement names none
	not mode_granted
}

deny contains {
	"code": "items-outside-grant",
	"zh": "请求了授权以外的信息项；请只请求已授权的信息项，或申请增加。",
	"en": "Items outside the grant were asked for; ask only for granted items, or apply for the others.",
} if {
	needs_grant
	input.grant
	count(requested_items - ((granted_items | free_items) | withheld_items)) > 0
}

deny contains {
	"code": "range-unenforceable",
	"zh": "授权限于部分区划，而该资源没有说明数据所属区划的信息项，范围无法执行；请提供部门标明含义为区划的信息项，或按提供部门所在区划重新申请。",
	"en": "The grant is for a division, and no item of the resource tells which division a row is about; its provider marks one as a division, or you apply for the range of the provider's division.",
} if {
	needs_grant
	input.grant
	not range_kept
}

deny contains {
	"code": "directory-stale",
	"zh": "本节点目录副本已超过五分钟未更新，无法确认授权是否仍然有效；请待节点恢复与主节点的连接后再试。",
	"en": "This node's directory is more than five minutes old, so a revocation may be unknown; try again when it is in touch with the leader.",
} if {
	needs_grant
	not fresh
}
