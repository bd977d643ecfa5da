import type { BaselineSettings, BaselineView, ToolBaseline, UsualView } from '@gatehouse/protocol';
import { baselineLimits as limits } from './limits.ts';
import { isWatched, knownResources, type Profile, usualMost } from './profile.ts';
import type { Known, OfTool } from './store.ts';

export function viewOf(agent: string, { whole, tools }: Known, settings: BaselineSettings): BaselineView {
  return {
    agent,
    state: whole.learnedAt === null ? 'learning' : 'known',
    learnedAt: whole.learnedAt,
    zone: whole.zone,
    needs: { days: settings.days, calls: settings.calls },
    whole: whole.calls === 0 ? null : usualOf(whole),
    tools: [...tools]
      .map(([tool, of]) => toolOf(tool, of))
      .sort((a, b) => b.calls - a.calls || (a.tool < b.tool ? -1 : 1)),
    overflow: tools.size >= limits.toolsPerAgent,
    rulesOff: settings.rulesOff,
  };
}

function usualOf(profile: Profile): UsualView {
  const perDay = profile.recent.map(([, calls]) => calls).sort((a, b) => a - b);
  return {
    calls: profile.calls,
    days: profile.days,
    firstAt: profile.first,
    lastAt: profile.last,
    hours: profile.hours.map(({ calls }) => calls),
    weekdays: profile.weekdays.map(({ calls }) => calls),
    perHour: usualMost(profile.perHour),
    perDay: { usual: perDay[Math.floor(perDay.length / 2)] ?? 0, most: perDay.at(-1) ?? 0 },
  };
}

function toolOf(tool: string, { usual, unusual }: OfTool): ToolBaseline {
  const { amount } = usual;
  return {
    tool,
    ...usualOf(usual),
    resultBytes: {
      most: usualMost(usual.bytes),
      average: usual.calls === 0 ? 0 : Math.round(usual.bytesInAll / usual.calls),
    },
    amount: amount.days.length === 0 && amount.said === 0 ? null : usualMost(amount),
    resources: { known: knownResources(usual), watched: isWatched(usual), overflow: usual.overflow },
    unusual: unusual && { calls: unusual.profile.calls, lastAt: unusual.profile.last, kinds: unusual.kinds },
  };
}
