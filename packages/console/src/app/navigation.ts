import {
  type Icon,
  IconActivity,
  IconBinaryTree2,
  IconCertificate,
  IconGavel,
  IconId,
  IconKey,
  IconListSearch,
  IconPlayerPlay,
  IconRobot,
  IconScale,
  IconSettings,
  IconTool,
} from '@tabler/icons-react';

export interface Destination {
  to:
    | '/'
    | '/approvals'
    | '/agents'
    | '/tasks'
    | '/tools'
    | '/leases'
    | '/actions'
    | '/policy'
    | '/identity'
    | '/log'
    | '/evidence'
    | '/settings';
  label: string;
  icon: Icon;
  /** Pressed after `g`. */
  key: string;
  /** Where its pages are, too. */
  also?: string[];
}

export const destinations: Destination[] = [
  { to: '/', label: 'Overview', icon: IconActivity, key: 'o' },
  { to: '/approvals', label: 'Approvals', icon: IconGavel, key: 'p', also: ['/channels'] },
  { to: '/agents', label: 'Agents', icon: IconRobot, key: 'a' },
  { to: '/tasks', label: 'Tasks', icon: IconPlayerPlay, key: 't' },
  { to: '/tools', label: 'Tools', icon: IconTool, key: 'u' },
  { to: '/leases', label: 'Credentials', icon: IconKey, key: 'c', also: ['/providers', '/accounts', '/secrets'] },
  { to: '/actions', label: 'Actions', icon: IconListSearch, key: 'x' },
  { to: '/policy', label: 'Policy', icon: IconScale, key: 'y' },
  { to: '/identity', label: 'Identity', icon: IconId, key: 'i', also: ['/delegations'] },
  { to: '/log', label: 'Log', icon: IconBinaryTree2, key: 'l', also: ['/sinks'] },
  { to: '/evidence', label: 'Evidence', icon: IconCertificate, key: 'e' },
  { to: '/settings', label: 'Settings', icon: IconSettings, key: 's' },
];
