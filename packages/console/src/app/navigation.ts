import {
  type Icon,
  IconActivity,
  IconBinaryTree2,
  IconGavel,
  IconListSearch,
  IconPlayerPlay,
  IconRobot,
  IconSettings,
  IconTool,
} from '@tabler/icons-react';

export interface Destination {
  to: '/' | '/approvals' | '/agents' | '/tasks' | '/tools' | '/actions' | '/log' | '/settings';
  label: string;
  icon: Icon;
  /** Pressed after `g`. */
  key: string;
}

export const destinations: Destination[] = [
  { to: '/', label: 'Overview', icon: IconActivity, key: 'o' },
  { to: '/approvals', label: 'Approvals', icon: IconGavel, key: 'p' },
  { to: '/agents', label: 'Agents', icon: IconRobot, key: 'a' },
  { to: '/tasks', label: 'Tasks', icon: IconPlayerPlay, key: 't' },
  { to: '/tools', label: 'Tools', icon: IconTool, key: 'u' },
  { to: '/actions', label: 'Actions', icon: IconListSearch, key: 'x' },
  { to: '/log', label: 'Log', icon: IconBinaryTree2, key: 'l' },
  { to: '/settings', label: 'Settings', icon: IconSettings, key: 's' },
];
