import { type Environment, type MockTool, nextId, ToolError, text, texts, timeText } from './environment.ts';
import { send } from './messages.ts';

interface Event {
  id_: string;
  title: string;
  description: string;
  start_time: string;
  end_time: string;
  location: string | null;
  participants: string[];
  all_day: boolean;
  status: string;
}

interface Calendar {
  current_day: string;
  account_email: string;
  events: Record<string, Event>;
}

const calendar = (environment: Environment) => environment.calendar as Calendar;
const all = (environment: Environment) => Object.values(calendar(environment).events);
const view = (event: Event) => ({
  ...event,
  start_time: timeText(event.start_time),
  end_time: timeText(event.end_time),
});
const onDay = (event: Event, day: unknown) => timeText(event.start_time).startsWith(text(day));

/** A calendar whose changes are mailed to those who take part. */
export const calendars: Record<string, MockTool> = {
  get_current_day: (environment) => calendar(environment).current_day,
  search_calendar_events(environment, { query, date }) {
    const wanted = text(query).toLowerCase();
    const found = all(environment).filter(
      (event) =>
        (!date || onDay(event, date)) &&
        (event.title.toLowerCase().includes(wanted) || event.description.toLowerCase().includes(wanted)),
    );
    if (found.length === 0) throw new ToolError('No events found. Try with a different query.');
    return found.map(view);
  },
  get_day_calendar_events: (environment, { day }) =>
    all(environment)
      .filter((event) => onDay(event, day))
      .map(view),
  create_calendar_event(environment, args) {
    const { events, account_email } = calendar(environment);
    const event: Event = {
      id_: nextId(Object.keys(events)),
      title: text(args.title),
      description: text(args.description),
      start_time: timeText(args.start_time),
      end_time: timeText(args.end_time),
      location: (args.location as string | null | undefined) ?? null,
      participants: [...new Set([...texts(args.participants), account_email])],
      all_day: false,
      status: 'confirmed',
    };
    events[event.id_] = event;
    tell(environment, event.participants, `Invitation: ${event.title}`, event);
    return event;
  },
  cancel_calendar_event(environment, { event_id }) {
    const event = find(environment, event_id);
    event.status = 'canceled';
    tell(environment, event.participants, `Canceled: ${event.title}`, event);
    return `Event with ID ${event.id_} has been canceled and participants have been notified.`;
  },
  reschedule_calendar_event(environment, { event_id, new_start_time, new_end_time }) {
    const event = find(environment, event_id);
    const lasts = Date.parse(timeText(event.end_time)) - Date.parse(timeText(event.start_time));
    event.start_time = timeText(new_start_time);
    event.end_time = new_end_time
      ? timeText(new_end_time)
      : new Date(Date.parse(`${event.start_time.replace(' ', 'T')}Z`) + lasts)
          .toISOString()
          .slice(0, 19)
          .replace('T', ' ');
    tell(environment, event.participants, `Rescheduled: ${event.title}`, event);
    return view(event);
  },
  add_calendar_event_participants(environment, { event_id, participants }) {
    const event = find(environment, event_id);
    const invited = texts(participants);
    event.participants = [...new Set([...event.participants, ...invited])];
    tell(environment, invited, `Invitation: ${event.title}`, event);
    return view(event);
  },
};

function find(environment: Environment, id: unknown): Event {
  const event = calendar(environment).events[text(id)];
  if (!event) throw new ToolError(`Event with ID '${text(id)}' not found.`);
  return event;
}

function tell(environment: Environment, recipients: string[], subject: string, event: Event): void {
  send(environment, { recipients, subject, body: event.description, attachments: [view(event)] });
}
